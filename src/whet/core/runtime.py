"""What a STEP method keeps during training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from whet.core.role_check import check_roles
from whet.core.stages import Arranges, Scales, WrapsLoss, WrapsStep, WrapsUpdate

if TYPE_CHECKING:
    from torch import Tensor

    from whet.core.batch import Progress

_ROLES = (Arranges, Scales, WrapsLoss, WrapsStep, WrapsUpdate)


class Runtime:
    """What a STEP method keeps during training. Everything that matters lies in `state_dict`, or a resumed run differs.

    Where what it keeps decides at another stage, the runtime itself plays a role there: `Arranges` (easy samples first), `Scales`
    (a learning rate that falls when validation stalls), `WrapsLoss` (a penalty towards the starting weights), `WrapsStep` (noise
    that fades) or `WrapsUpdate`. It comes after the methods of that stage:

        class _Falling(Runtime, Scales):
    """

    stop: bool = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_roles(cls, _ROLES)

    def after_step(self, progress: Progress) -> None:
        """After every optimizer step."""

    def after_validation(self, metrics: Mapping[str, float], weights: dict[str, Tensor], progress: Progress) -> None:
        """After every validation; `weights` are those that were validated."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Back to what `state_dict` gave."""
