"""The views of unlabelled samples that the methods of a recipe request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from whet.core.errors import RecipeError
from whet.core.method import Method, Unlabelled
from whet.core.rng import Rng
from whet.models.front import Front
from whet.training.augmentation import Augmentation, informed


@dataclass(frozen=True)
class UnlabelledViews:
    """ratio: unlabelled samples for each labelled one. augmentations: of each view, by its name. trained, predicted: the views that
    pass through the network in every step, see `core.method.Unlabelled`."""

    ratio: float = 0.0
    augmentations: Mapping[str, Augmentation] = field(default_factory=dict)
    trained: frozenset[str] = frozenset()
    predicted: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.augmentations)


def unlabelled_views(
    requests: Mapping[str, Unlabelled],
    methods: Sequence[Method],
    ordered: Callable[[tuple[Method, ...]], list[Method]],
    rng: Rng,
    front: Front,
) -> UnlabelledViews:
    """The views for these requests, by the name of the method. methods: those of the recipe."""
    wanted, found = requests.values(), {}
    aligned = any(request.aligned for request in wanted)
    for view, drawing in requested_views(requests, methods).items():
        own = {method.name for request in wanted for method in request.views.get(view, ())}
        informed_methods = [informed(method, front) for method in ordered(drawing)]
        found[view] = Augmentation(informed_methods, rng, view, own if aligned else None)
    return UnlabelledViews(
        max((request.ratio for request in wanted), default=0.0),
        found,
        frozenset(view for request in wanted for view in request.trained),
        frozenset(view for request in wanted for view in request.predicted),
    )


def requested_views(requests: Mapping[str, Unlabelled], methods: Sequence[Method]) -> dict[str, tuple[Method, ...]]:
    """The methods of every view that is requested, by the name of the view: those of the recipe and those of the request, which
    replace the recipe's of the same name and those in conflict. RecipeError where two requests differ."""
    further: dict[str, tuple[Method, ...]] = {}
    for name, request in requests.items():
        for view, own in request.views.items():
            if further.setdefault(view, own) != own:
                raise RecipeError(f"method '{name}' needs another view '{view}' than the methods before it")
    return {view: _joined(methods, own) for view, own in further.items()}


def _joined(methods: Sequence[Method], own: Sequence[Method]) -> tuple[Method, ...]:
    names = {method.name for method in own}.union(*(method.conflicts for method in own))
    return (*(one for one in methods if one.name not in names and not one.conflicts & names), *own)
