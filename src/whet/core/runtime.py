"""The state of a STEP method during training."""

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
    """The state of a STEP method during training. `state_dict` must hold everything needed, or a resumed run differs.

    Where this state affects another stage, the runtime itself has a role there: `Arranges` (easy samples first), `Scales` (a
    learning rate that is reduced when validation stalls), `WrapsLoss` (a penalty towards the initial weights), `WrapsStep`
    (decaying noise) or `WrapsUpdate`. It runs after the methods of that stage:

        class _Falling(Runtime, Scales):
    """

    stop: bool = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_roles(cls, _ROLES)

    def after_step(self, progress: Progress) -> None:
        """Called after every optimizer step."""

    def after_validation(self, metrics: Mapping[str, float], weights: dict[str, Tensor], progress: Progress) -> None:
        """Called after every validation; `weights` are the validated weights."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state returned by `state_dict`."""
