from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Context
from whet.core.errors import NoEffectError, RecipeError, unknown
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.net import Net


class Freeze(
    Method, Changes, family="transfer", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Keep the first blocks of the pretrained network as they are, and train the rest.

    The first blocks find edges and colours, which rarely need to change, and cost the most time, as their images are large.

    Use when: fine-tuning with little time or few samples.
    Do not use when: training from scratch, or the images differ from those of the pre-training down to edges and colours.
    Source: Yosinski et al. 2014, arXiv:1411.1792. The default share is the one measured on TrashNet (docs/log.md).
    """

    identity = {"share": 0.0}
    conflicts = frozenset({"linear_probe", "lora", "adapter", "bitfit"})

    share: Annotated[
        float,
        Field(ge=0, lt=1, description="share of the backbone's blocks, from the input on, that stay as they are"),
        Search(0.0, 0.7),
    ] = 0.43
    layer: Annotated[
        str,
        Field(description="none, or in place of a share the last block to keep: its name or the end of it (layer.6)"),
    ] = "none"

    def change(self, net: Net, context: Context) -> Net:
        count = self._place(net.block_names) + 1 if self.layer != "none" else int(self.share * len(net.block_names))
        if count == 0 and self.share > 0:
            raise NoEffectError(f"{self.share:g} of {len(net.block_names)} blocks is less than one")
        frozen = net.freeze_blocks(count)
        net.notes.append(
            f"freeze: {count} of {len(net.block_names)} blocks stay as they are, {frozen:.0%} of the backbone's weights"
        )
        return net

    def _place(self, names: list[str]) -> int:
        found = [place for place, name in enumerate(names) if f".{name}".endswith(f".{self.layer}")]
        if not found:
            raise RecipeError(unknown("layer", self.layer, names, "freeze"))
        if len(found) > 1:
            ends = ", ".join(names[place] for place in found)
            raise RecipeError(f"freeze.layer = '{self.layer}' is the end of more than one name: {ends}")
        return found[0]
