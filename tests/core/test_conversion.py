"""The report of a conversion: what was replaced, what was left, and why."""

from subpixel_core import Conversion, ConversionReport
from subpixel_core._conversion import SLOWER

REPLACED = Conversion("up.0", "ConvTranspose2d", "minimal", 1_000_000, 4096)
LEFT = Conversion("decoder.up + decoder.conv", "Upsample + Conv2d", reason=SLOWER)


def test_every_row_is_among_the_replaced_or_the_left():
    report = ConversionReport((REPLACED, LEFT))
    assert (report.converted, report.left) == ((REPLACED,), (LEFT,))


def test_the_table_has_a_line_per_row_under_one_head_and_its_columns_stand_under_each_other():
    head, *lines = str(ConversionReport((REPLACED, LEFT))).splitlines()
    assert head.split("  ")[0] == "layer"
    assert [line.startswith(row.layer) for line, row in zip(lines, (REPLACED, LEFT), strict=True)] == [True, True]
    column = head.index("kind")
    assert [line[column:].startswith(row.kind) for line, row in zip(lines, (REPLACED, LEFT), strict=True)] == [True, True]
    end = head.index("MACs before") + len("MACs before")
    assert [line[:end].split()[-1] for line in lines] == ["1,000,000", "-"]
    assert lines[1].endswith(SLOWER)


def test_a_model_without_such_layers_has_a_report_without_rows():
    report = ConversionReport(())
    assert (report.converted, report.left) == ((), ())
    assert str(report) == "layer  kind  form  MACs before  MACs after  reason"
