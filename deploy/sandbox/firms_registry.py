"""What the registration department states, simulated."""

from __future__ import annotations

from datetime import date

from deploy.sandbox.firms import Firm, dice, masked_names, shift
from deploy.sandbox.firms_names import entity_type
from deploy.sandbox.firms_tax import Row, yuan

_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨"
_CITIES = {
    "320100": "南京市",
    "320200": "无锡市",
    "320400": "常州市",
    "320500": "苏州市",
    "320600": "南通市",
    "321000": "扬州市",
}


def basic_registration(firm: Firm, today: date) -> list[Row]:
    """One row. The firm was founded some time before its first invoice; persons are anonymous."""
    chance, masked = dice(firm.ent, "registration"), masked_names()[firm.ent]
    founded = firm.opened.shift(shift(today) - chance.randrange(3, 120))
    founded_on = date(founded.year, founded.month, chance.randrange(1, 29)).isoformat()
    capital = chance.choice((100_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000))
    city = _CITIES[firm.region]
    return [
        {
            "uscc": firm.code,
            "enterprise_name": firm.name,
            "former_names": [],
            "entity_type_code": entity_type(masked),
            "legal_rep_name": f"{chance.choice(_SURNAMES)}某某",
            "registered_capital": yuan(capital),
            "registered_capital_currency": "CNY",
            "paid_in_capital": yuan(capital * chance.randrange(2, 11) // 10),
            "established_on": founded_on,
            "operating_from": founded_on,
            "business_scope": f"许可范围内的{firm.trade.scope}（沙箱虚构）",
            "registered_address": f"江苏省{city}沙箱路{firm.ent}号",
            "registered_region": firm.region,
            "industry_code": firm.trade.industry,
            "registration_authority": f"{city}沙箱市场监督管理局",
            "registration_status": "active" if firm.ceased is None else "suspended",
            "approved_on": founded_on,
        }
    ]
