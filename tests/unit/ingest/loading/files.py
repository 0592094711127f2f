"""Files as offices write them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

HEADER = [
    "客户编号", "账户编号", "卡号末四位", "产品", "数据时间", "账单日", "最早未还到期日", "最低还款额", "逾期金额",
    "逾期本金", "逾期利息", "违约金", "欠款余额", "信用额度", "逾期期数",
]  # fmt: skip
"""Of the packaged template."""
ROW = [
    "c-1", "a-1", "0234", "gold", "2026-02-25 08:00", "2026-02-05", "2026/1/25", "500", "1,200.00", "1000", "", "",
    "9000.50", "20000", "1",
]  # fmt: skip


def csv_file(folder: Path, rows: Sequence[Sequence[str]], encoding: str = "utf-8") -> Path:
    """Write a CSV file whose every cell stands in quotes."""
    path = folder / "portfolio.csv"
    lines = (",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    path.write_text("\r\n".join(lines) + "\r\n", encoding=encoding)
    return path


def xlsx_file(folder: Path, rows: Sequence[Sequence[str | float]]) -> Path:
    """Write the smallest workbook that is one: texts in place, numbers as numbers."""
    path = folder / "portfolio.xlsx"
    lines = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w") as book:
        for name, text in parts.items():
            book.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return path


def _cell(cell: str | float) -> str:
    if isinstance(cell, str):
        return f'<c t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
    return f"<c><v>{cell!r}</v></c>"
