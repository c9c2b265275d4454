"""A method: one technique, its typed hyper-parameters, and the roles it has at the stages of training."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from whet.core.role_check import ROLE_OF, check_roles, stages_of
from whet.core.search import Search
from whet.core.stages import Stage
from whet.core.strict import Strict
from whet.core.task import problems

FAMILIES = frozenset(
    ("augment", "mix", "transfer", "architecture", "regularize", "distill", "optimize", "schedule", "average")
    + ("balance", "semi", "pretrain", "weak", "ensemble", "compress")
)


@dataclass(frozen=True)
class Unlabelled:
    """The unlabelled samples that a method needs in every batch (`Batch.unlabelled`). ratio: their number for each labelled sample.
    views: the name of each view, and SAMPLE methods that draw it in addition to those of the recipe (or in place of one of the same
    name, or of one that they conflict with). Every view has its own draws, keyed by its name.

    trained, predicted: names of views that pass through the network in every step, with a gradient or without one. Their outputs
    are in `Outcome.views`. Where BatchNorm is trained, they pass through it in one batch with the labelled samples.

    aligned: the recipe's methods draw the same for all views, and the methods of the views must not move pixels. The outputs of all
    views then belong to the same places of the image.
    """

    ratio: float
    views: Mapping[str, tuple[Method, ...]]
    trained: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()
    aligned: bool = False


class Method(Strict):
    """Base class of all techniques. Derive from it and from a role (`whet.core.stages`), which determines where the method acts:

        class MixUp(Method, Mixes, family="mix", tasks={"image-classification"}):
        class EMA(Method, Watches, ChoosesWeights, family="average", tasks={"image-classification"}):

    The method's stage is that of its first role.

    The class defines the YAML schema, the search space, the card and the row in the report. Its docstring is the card: a first
    line that summarises the method, then `Use when:`, `Do not use when:`, `Source:` and, where they apply, `Deviates:`, `Shapes:`.
    """

    kind: ClassVar[str] = "hyper-parameter"
    name: ClassVar[str]
    stage: ClassVar[Stage]
    family: ClassVar[str]
    tasks: ClassVar[frozenset[str]]

    identity: ClassVar[Mapping[str, Any] | None] = None
    """The setting that must give bit-equal results to leaving the method out, or None where there is none (see `exceptions`)."""
    order: ClassVar[int] = 50
    """Position among the methods of one stage, ascending; ties are sorted by name. The order in the recipe does not matter."""
    conflicts: ClassVar[frozenset[str]] = frozenset()
    """Names of methods that cannot be combined with this one in a recipe."""
    waits: ClassVar[str] = ""
    """Why a training step with this method reads values from the device, as a line search does that compares losses. Such a step
    waits until the device has computed them. Empty for all other methods."""
    learns_unlabelled: ClassVar[bool] = False
    """Whether it learns from unlabelled samples in another way than in batches (see `unlabelled`)."""
    own_forward: ClassVar[bool] = False
    """Whether its loss passes the samples through the network itself and needs no logits or features. If this holds for all LOSS
    methods of a recipe, a training step makes no other forward pass, and logits and features have the shape (B, 0)."""
    one_class: ClassVar[bool] = False
    """Whether it applies only where each sample has exactly one class."""
    by_cell: ClassVar[bool] = False
    """Whether it applies to masks only where the outputs are a map of the image."""
    found_by_run: ClassVar[frozenset[str]] = frozenset()
    """Hyper-parameters that a run finds and stores with its network (`Net.built_with`). A recipe leaves them at their defaults."""
    example: ClassVar[Mapping[str, Any]] = {}
    """Settings for `whet.testing`, where the defaults need something supplied by the user, or are large."""
    exceptions: ClassVar[Mapping[str, str]] = {}
    """Checks of `whet.testing.check_method` that do not apply to this method, each with its reason."""

    def __init_subclass__(
        cls,
        family: str | None = None,
        tasks: Iterable[str] | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        if family is None or tasks is None:
            raise TypeError(f"{cls.__name__}: a method declares its family and tasks in the class line")
        cls.family, cls.tasks = family, frozenset(tasks)
        cls.name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()
        if family not in FAMILIES:
            raise TypeError(f"{cls.__name__}: family '{family}' is none of {sorted(FAMILIES)}")
        known = problems().keys()
        if not cls.tasks or not cls.tasks <= known:
            raise TypeError(f"{cls.__name__}: tasks {sorted(cls.tasks)} must be some of {sorted(known)}")
        check_roles(cls)
        if not stages_of(cls):
            raise TypeError(
                f"{cls.__name__}: a method derives from a role of whet.core.stages, such as Mixes or WrapsLoss"
            )
        cls.stage = stages_of(cls)[0]

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        clash = sorted(ROLE_OF.keys() & set(cls.model_fields))
        if clash:  # the class would be treated as a method of that stage
            raise TypeError(f"{cls.__name__}: the hyper-parameter '{clash[0]}' has the name of a stage's function")

    @property
    def copies(self) -> int:
        """How many copies of each sample this method needs in a batch. Draws made by copy differ between them."""
        return 1

    @property
    def copies_differ(self) -> bool:
        """Whether all SAMPLE methods of the recipe draw by copy, so that the copies are different views of a sample."""
        return False

    @property
    def high_res_size(self) -> int | None:
        """The side in pixels at which this method needs every training image (`Batch.high_res`), if the network gets a smaller
        one."""
        return None

    def unlabelled(self, problem: str) -> Unlabelled | None:
        """The unlabelled samples that this method needs in a recipe of this task. If several methods need some, each gets all views
        and the highest ratio."""
        return None

    def take_over(self, other: Method) -> Method | None:
        """Another method of the recipe without the part that this one replaces; None where they do not overlap. The recipe of the
        run holds the result, and a note reports it."""
        return None

    def require(self, net: Any) -> None:
        """Raise an error if the method cannot be used with this network (`whet.models.Net`, with its starting weights). Called
        before any run that it follows is trained."""

    @classmethod
    def stages(cls) -> list[Stage]:
        """All stages at which this class has a role, in training order."""
        return sorted(stages_of(cls), key=list(Stage).index)

    @classmethod
    def label(cls) -> str:
        return cls.name

    @classmethod
    def search_space(cls) -> dict[str, Search]:
        """The hyper-parameters with a declared search range."""
        found = {}
        for key, field in cls.model_fields.items():
            for extra in field.metadata:
                if isinstance(extra, Search):
                    found[key] = extra
        return found

    def settings_dict(self) -> dict[str, Any]:
        """All hyper-parameters as YAML values."""
        return self.model_dump(mode="json")
