"""Names and trades of the sandbox firms, made from the masked names of the contest: `***食品有限公司` shows a trade.

Every name begins with 沙箱, so that nobody takes it for a real enterprise.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FIRST = "启云瑞安恒宏嘉明远泽华盛德新星晨锦禾沐川海"
_SECOND = "达通源泰丰越信诚和悦创辉康利润程拓科航景原"
_SOLE = ("经营部", "商行", "工作室", "服务部")


class Trade(NamedTuple):
    """What a firm lives from: catalogue industry code, and the measures its departments' figures follow.

    `head_yuan`: sales per head and year. `kwh`: electricity per 10,000 yuan of sales. `gas`: chance of a gas account in
    per cent. `use`: code of water use.
    """

    industry: str
    scope: str
    head_yuan: int
    kwh: int
    gas: int
    use: str

    @property
    def section(self) -> str:
        """Letter of the industry section."""
        return self.industry[0]


# First match wins, so the narrow words stand first.
_TRADES: tuple[tuple[str, Trade], ...] = (
    ("食品|调味|蔬菜", Trade("C1499", "食品生产、销售", 700_000, 260, 90, "industrial")),
    ("酒店|餐饮", Trade("H6110", "住宿、餐饮服务", 180_000, 520, 95, "commercial")),
    ("物流|快递|运业|运贸|运输", Trade("G5430", "道路货物运输、仓储服务", 600_000, 80, 8, "non_resident")),
    ("律师|税务师|财税|财务|咨询|策划|广告|人力|管理",
     Trade("L7249", "商务咨询、策划与代理", 350_000, 50, 4, "commercial")),
    ("研究|检验|测试|设计院|技术发展", Trade("M7320", "技术研究、检测与试验", 450_000, 110, 12, "non_resident")),
    ("建筑设计|工程设计|设计服务", Trade("M7485", "工程设计服务", 400_000, 60, 4, "non_resident")),
    ("电器销售|家电|商贸|贸易|经营部|通讯|物资|药房|药店|服饰|童装|销售|供应链|实业|建材|生活用品|鞋材",
     Trade("F5190", "商品批发与零售", 1_500_000, 30, 6, "commercial")),
    ("劳务|建设|建筑|工程|装饰|路桥|安装|门窗", Trade("E5019", "建筑工程施工与劳务", 400_000, 45, 5, "non_resident")),
    ("化工|电子|机械|设备|材料|木业|纸业|印务|纺织|制冷|鞋业|轮胎|金属|钢|药业|厂|超硬",
     Trade("C3990", "产品制造、加工与销售", 600_000, 380, 55, "industrial")),
    ("信息|网络|软件|通信|科技|技术|自动化|安防",
     Trade("I6531", "软件开发与信息技术服务", 500_000, 90, 3, "commercial")),
    ("文化|传媒|传播|体育", Trade("R9090", "文化艺术交流与传播", 350_000, 60, 4, "commercial")),
    ("园林|花木|节能|环保", Trade("N7840", "绿化管理与环境治理", 350_000, 60, 5, "special")),
    ("房地产|物业", Trade("K7020", "物业管理与房地产营销", 300_000, 150, 10, "commercial")),
)  # fmt: skip
_OTHER = Trade("O8199", "居民与其他服务", 250_000, 120, 10, "commercial")


def trade_of(masked: str) -> Trade:
    """The trade a masked name shows; a sole trader's number shows none."""
    return next((trade for words, trade in _TRADES if re.search(words, masked)), _OTHER)


def name_of(ent: int, masked: str) -> str:
    """A fictitious name, different for each number, keeping the trade's words."""
    brand = _FIRST[ent % len(_FIRST)] + _SECOND[ent // len(_FIRST)]
    words = re.sub(r"\*+|[（(][^）)]*[）)]|E\d+|\s", "", masked)
    words = _SOLE[ent % len(_SOLE)] if words == "个体经营" else words.replace("有限公司分公司", "有限公司第一分公司")
    return f"沙箱{brand}{words}"


def entity_type(masked: str) -> str:
    """The catalogue's entity type code of a masked name."""
    for words, code in (("合作社", "90"), ("股份", "20"), ("有限", "10"), ("总公司|集团", "30"), ("事务所", "50")):
        if re.search(words, masked):
            return code
    return "60"
