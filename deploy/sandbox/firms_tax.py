"""What the tax department states: real invoice summaries, and simulated arrears and credit ratings."""

from __future__ import annotations

from datetime import date, timedelta

from consent.period import Month
from deploy.sandbox.firms import LAST_REAL, Firm, dice, invoices, shift

Row = dict[str, object]


def yuan(amount: int) -> str:
    """Whole yuan as the wire's money."""
    return f"{amount}.00"


def money(fen: int) -> str:
    """Fen as the wire's money: decimal text with two digits."""
    sign, fen = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{fen // 100}.{fen % 100:02d}"


def last_day(month: Month) -> date:
    """The last day of a month."""
    after = month.shift(1)
    return date(after.year, after.month, 1) - timedelta(days=1)


def vat_invoice_summary(firm: Firm, today: date) -> list[Row]:
    """The real invoices of the firm, months shifted; a share without positive amounts is left out, not zero."""
    moved = shift(today)
    rows: list[Row] = []
    for fact in invoices()[firm.ent]:
        row: Row = {
            "uscc": firm.code,
            "period": str(fact.period.shift(moved)),
            "direction": fact.direction,
            "invoice_count": fact.invoice_count,
            "amount_excl_tax": yuan(fact.amount_yuan),
            "tax_amount": yuan(fact.tax_yuan),
            "voided_count": fact.voided_count,
            "red_count": fact.red_count,
            "red_amount": yuan(fact.red_amount_yuan),
            "counterparty_count": fact.counterparty_count,
        }
        for name, points in (("top1_share", fact.top1_bp), ("top5_share", fact.top5_bp)):
            if points is not None:
                row[name] = f"{points // 100}.{points % 100:02d}00"
        rows.append(row)
    return rows


def tax_arrears(firm: Firm, today: date) -> list[Row]:
    """Arrears of firms under strain: cleared ones at strain 2, open ones at 3. Others have none: an empty list."""
    if firm.strain < 2:
        return []
    chance = dice(firm.ent, "tax_arrears")
    rows: list[Row] = []
    back = chance.randrange(3, 9)
    for number in range(chance.randrange(1, 4)):
        month = LAST_REAL.shift(shift(today) - back - 3 * number)
        due = max(50_000, firm.mean_sales * chance.randrange(2, 9))  # 2 to 8 per cent of a month's sales, in fen
        announced = last_day(month.shift(2))
        cleared = announced + timedelta(days=chance.randrange(20, 60))
        row: Row = {
            "uscc": firm.code,
            "tax_kind": "10104" if number == 1 else "10101",
            "period_to": last_day(month).isoformat(),
            "arrears_amount": money(due),
            "new_arrears_amount": money(due // 2),
            "announced_on": announced.isoformat(),
            "is_deferred": chance.randrange(5) == 0,
        }
        if firm.strain == 2 and cleared <= today:
            row |= {"arrears_amount": "0.00", "new_arrears_amount": "0.00", "cleared_on": cleared.isoformat()}
        rows.append(row)
    return rows


def tax_credit_rating(firm: Firm, today: date) -> list[Row]:
    """Yearly ratings, published in April of the year after; a first year without sales enough is M."""
    chance = dice(firm.ent, "tax_credit")
    rows: list[Row] = []
    opened = firm.opened.shift(shift(today)).year
    for year in range(today.year - 4, today.year):
        rated, points = date(year + 1, 4, 20), 9600 - 900 * firm.strain - chance.randrange(900)
        if year < opened or rated > today:
            continue
        grade = "A" if points >= 9000 else "B" if points >= 7000 else "C"
        grade = "M" if year == opened else "D" if firm.strain == 3 and year == today.year - 1 else grade
        rows.append(
            {
                "uscc": firm.code,
                "rating_year": f"{year}",
                "rating": grade,
                "score": money(3500 if grade == "D" else points),
                "rated_on": rated.isoformat(),
            }
        )
    return rows
