from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

from pydantic import Field

from whet.core.errors import RecipeError
from whet.core.method import Method
from whet.core.rng import BatchRng
from whet.core.search import Search
from whet.core.stages import Draws
from whet.core.text_view import TextView
from whet.methods.augment_text.word_noise import noised, with_character

# Groups of Chinese characters that differ by a stroke or a radical.
_GROUPS = """
人入八 己已巳 土士 未末 日曰目 干千于 天夭夫 大太犬 刀力刁 午牛 今令 井并 木本术 贝见 兔免 戊戌戍 侯候
折拆析 拔拨 沓杳 冶治 汆氽 辨辩辫瓣 梁粱 请清情晴睛 蓝篮监 练炼拣 坐座 做作 再在 很狠恨 跟根 浪狼 娘浪
住注柱往 主王玉 圆园 元无 由田甲申 白百自 鸟乌 休体 代伐 贷货 侍待持特 讨付时村 村材 林村 池地他她也 弛驰
那哪 拿拾 合舍 拾给 给恰 抬治 烧绕浇晓 挠饶 买卖实 夹来 采彩菜 莱菜 苹平萍 评坪 花化华 货花 瓶饼拼 纸低底
抵低 皮波破披 坡波 被披 疲皮 垃拉粒 拉位 泣位 圾级极 极吸 吸级 及乃 桶捅通 勇涌桶 塑朔 料科 斗抖 甩用
灯订打 钉订 厅订 灰恢 碳炭 岩炭 药约 约钓 钩钓 的约 豹钓 铁轶跌 失矢 夭矢 块快决 抉快 玻坡 璃漓篱 离禽
罐灌 权杈 汽气 乞气 油抽 柚油 轴抽 杯怀坏环 还怀 骨滑 刮括 活话括 乱话 舌古 吉古 苦若 诺若 果里 课棵颗
裸课 核该刻 孩该 亥玄 皿血 盆盒 盘盆 盖盘 温湿 显湿 蔬疏 流疏 梳流 叶什 什计 汁叶 奶仍 扔仍 扬场杨 汤扬
肠扬 渣查 喳查 茶荼 菜茶 壳亮 完壳 壶壳 尘尖 池弛 旧归 旦旧 衣农 依衣 哀衰衷 币布 市巾 毛手 巾中 笔毕
毯毡 纺防 访仿 仿纺 傍榜 旁傍 棉绵 锦绵 帛棉 包句 抱饱炮泡 跑炮 袍抱 雹包 鞋鞍 靴鞋 帽冒 冒昌 唱倡 袜抹
妹味昧 袖抽 裤库 车东 东乐 连莲 运远 近运 迁过 过边 逃挑桃跳 兆北 此些 比北 指脂 旨指 抢枪仓 仑仓 论抡轮
沧抢 创仓 板版 扳板 饭板 返饭 贩版 反友 友发 拨发 支友 枝技 伎技 肢枝 玩顽 完玩 院完 具其 真具 直真 值植
殖植 且具 旱早 草早 阜草 章草 童章 量重 重童 里重 厘里 理埋 狸理 漫慢 谩慢 馒慢 曼慢 模摸 膜模 漠模
幕墓慕暮 募幕 镜境 竟境 意竟 亿忆 艺忆 义叉 叉又 双又 收牧 攻收 政收 改攻 故政 敌故 效郊 校郊 较校 咬胶
胶校 洒酒 晒酒 西四 票栗 粟栗 要耍 需儒 而面 向问 间问闻 闭闲 闯闪 阅阔 门们 简筒 同筒 铜桐 洞铜 胴洞
何河 可何 柯何 呵阿 阿何 官宫 管菅 营宫 宾宴 害容 客容 各名 路格 格络 洛络 略络 落洛 安按 案安 宁字 觉学
党觉 堂党 常堂 赏常 掌赏 尝常 侧测 则侧 厕侧 倒到 致到 至到 结洁 诘洁 喜嘉 哭器 品晶 唱晶 员圆 勋员 损捐
绢捐 娟捐 涓捐 鸣呜 鸡鸣 鸭鸦 鹅鸭 岛鸟 乌岛 马乌 妈吗 码妈
"""


class SimilarCharacter(Method, Draws, family="augment", tasks={"text-classification"}):
    """Replace one character in some Chinese words by a character of similar shape.

    Use when: Chinese texts at prediction time are written by hand, typed by shape (Wubi, Cangjie) or read by OCR.
    Do not use when: texts are typed by pronunciation (use homophone), or are not Chinese, where this has no effect.
    Source: Liu et al. 2011, doi:10.1145/1967293.1967297, who find that 46 % of wrong characters look alike.
    Deviates: the similar characters are a small table of common ones or your own list, and not computed from strokes.
    Shapes: rewrites view.content_B.
    """

    identity = {"prob": 0.0}
    order = 62

    prob: Annotated[float, Field(ge=0, le=1, description="probability that a text is changed"), Search(0.0, 1.0)] = 0.5
    fraction: Annotated[
        float, Field(gt=0, le=1, description="fraction of the words with a similar character"), Search(0.02, 0.3)
    ] = 0.1
    path: Annotated[
        str | None,
        Field(
            description="file with groups of similar characters, separated by white space; the built-in groups if none"
        ),
    ] = None

    def draw(self, view: TextView, rng: BatchRng) -> TextView:
        if self.prob == 0:
            return view
        alike = look_alikes(self.path)

        def with_similar(word: str, where: float, which: float) -> str:
            places = [place for place, character in enumerate(word) if character in alike]
            if not places:
                return word
            place = places[int(where * len(places))]
            others = alike[word[place]]
            return with_character(word, place, others[int(which * len(others))])

        return noised(view, rng, self.prob, self.fraction, with_similar)


@functools.cache
def look_alikes(path: str | None = None) -> dict[str, str]:
    """Map each character to the other characters of all groups that contain it."""
    groups = _GROUPS.split() if path is None else _read(path)
    found: dict[str, dict[str, None]] = {}
    for group in groups:
        for one in group:
            found.setdefault(one, {}).update((other, None) for other in group if other != one)
    return {one: "".join(others) for one, others in found.items() if others}


def _read(path: str) -> list[str]:
    try:
        groups = Path(path).read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"similar_character.path = {path!r}: cannot be read ({error}); accepted: a UTF-8 text file with groups such as 己已巳"
        ) from None
    if not any(len(set(group)) > 1 for group in groups):
        raise RecipeError(
            f"similar_character.path = {path!r}: contains no group of two or more characters, such as 己已巳"
        )
    return groups
