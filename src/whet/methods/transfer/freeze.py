from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Context
from whet.core.errors import NoEffectError, RecipeError, unknown
from whet.core.language import english
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.net import Net


class Freeze(
    Method,
    Changes,
    family="transfer",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Freeze the first blocks of the pretrained network and train the rest.

    The first blocks detect edges and colors, which rarely need to change. They take the most time, because their feature maps
    are large.

    Use when: fine-tuning with little time or few samples.
    Do not use when: training from scratch, or the images differ from the pretraining images even in edges and colors.
    Source: Yosinski et al. 2014, arXiv:1411.1792. The default fraction is the one measured on TrashNet (docs/log.md).
    """

    identity = {"share": 0.0}
    conflicts = frozenset({"linear_probe", "lora", "adapter", "bitfit"})

    share: Annotated[
        float,
        Field(ge=0, lt=1, description="fraction of the backbone's blocks to freeze, starting at the input"),
        Search(0.0, 0.7),
    ] = 0.43
    layer: Annotated[
        str,
        Field(description="last block to freeze, by its name or the end of its name (layer.6); none: `share` applies"),
    ] = "none"

    def change(self, net: Net, context: Context) -> Net:
        count = self._position(net.block_names) + 1 if self.layer != "none" else int(self.share * len(net.block_names))
        if count == 0 and self.share > 0:
            raise NoEffectError(f"{self.share:g} of {len(net.block_names)} blocks is less than one")
        frozen = net.freeze_blocks(count)
        net.notes.append(
            english(
                "freeze: {count} of {n} blocks are frozen, {share:.0%} of the backbone's weights",
                count=count,
                n=len(net.block_names),
                share=frozen,
            )
        )
        return net

    def _position(self, names: list[str]) -> int:
        found = [position for position, name in enumerate(names) if f".{name}".endswith(f".{self.layer}")]
        if not found:
            raise RecipeError(unknown("layer", self.layer, names, "freeze"))
        if len(found) > 1:
            ends = ", ".join(names[position] for position in found)
            raise RecipeError(f"freeze.layer = '{self.layer}' matches the end of more than one name: {ends}")
        return found[0]
