"""The settings of a server, and the limits that it keeps."""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from whet.core.errors import ServingError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Settings:
    """Where a server listens and what it accepts. ServingError for settings that would be unsafe or cannot work.

    token: what clients must send as `Authorization: Bearer TOKEN`; required for any address but this machine's own.
    hosts: accepted values of the header Host, without the port; names of this machine always. Empty: any, where there is a token.
    max_bytes: of one request body; of all bodies in memory together 16 times as much. max_pixels: of one image, before it is
    decoded. max_values: of one audio clip, frames times channels. header_bytes, header_count: of all headers together.
    body_seconds, idle_seconds: from the first to the last byte of a body, and between two of its parts; with header_seconds, no
    connection sends one request for more than 30 s. queue: samples that may
    wait or be computed. batch: the most samples computed at once, 0: measured at the start. window: seconds that a batch waits for
    samples that are being decoded. corrections: a folder for corrected samples, up to correction_bytes.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    hosts: tuple[str, ...] = ()
    max_bytes: int = 20 << 20
    max_pixels: int = 50_000_000
    max_values: int = 60_000_000
    header_bytes: int = 16 << 10
    header_count: int = 100
    header_seconds: float = 10.0
    body_seconds: float = 18.0
    idle_seconds: float = 5.0
    queue: int = 128
    batch: int = 0
    window: float = 0.005
    drain_seconds: float = 30.0
    corrections: Path | None = None
    correction_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and self.token.strip()):
            raise ServingError("the token must be of printable ASCII characters and not empty")
        if self.token is None and not self.is_local:
            raise ServingError(
                f"--host {self.host} can be reached from other machines; set a token, such as WHET_TOKEN=$(openssl rand -hex 16), "
                "or keep --host 127.0.0.1"
            )

    @property
    def address(self) -> str:
        """The IP address of `host`. ServingError where it is none."""
        if self.host == "localhost":
            return "127.0.0.1"
        try:
            return str(ipaddress.ip_address(self.host.strip("[]")))
        except ValueError:
            raise ServingError(
                f"--host {self.host} is no IP address; accepted: 127.0.0.1, 0.0.0.0 (all networks), or an address of this machine"
            ) from None

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{f'[{self.address}]' if ':' in self.address else self.address}:{self.port}/"

    @functools.cached_property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return ipaddress.ip_address(self.address).is_loopback

    def accepts_host(self, host: str) -> bool:
        """Whether a request for this value of the header Host is meant for this server."""
        name = host.rsplit(":", 1)[0] if ":" in host and not host.endswith("]") else host
        if not self.hosts and not self.is_local:
            return bool(name)
        return name.lower() in {*LOOPBACK, self.host.lower(), *(one.lower() for one in self.hosts)}
