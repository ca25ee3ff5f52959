"""The report of a conversion: what was replaced, what was left, and why."""

from dataclasses import FrozenInstanceError

import pytest

from subpixel_core import Conversion, ConversionReport, _conversion
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


def test_the_table_is_this_text():
    assert str(ConversionReport((REPLACED, Conversion("a", "B", macs_before=0), LEFT))).splitlines() == [
        "layer                      kind               form     MACs before  MACs after  reason",
        "up.0                       ConvTranspose2d    minimal    1,000,000       4,096",
        "a                          B                  -                  0           -",
        "decoder.up + decoder.conv  Upsample + Conv2d  -                  -           -  no form is measured to be faster on these extents",
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("BIAS_ALONG_WIDTH", "Keras adds its bias along the width, which is the number of its filters, and its equal would by channel"),
        ("LISTED", "a list or the like holds it beside the modules of the model, where it cannot be replaced"),
        ("NOT_ADJACENT", "the convolution is not proved to be all that reads the resized tensor"),
        ("NO_GRAPH", "it is called by the code of another layer or model, which is no graph that could be read"),
        ("NOT_REACHED", "the example does not reach it, so its extents are not known"),
        ("READ_ELSEWHERE", "the model does more with it than to call it"),
        ("SHARED_IN_MODEL", "a copy of the model would not have in common what layers of it have"),
        ("SHARED_PARAMETERS", "its parameters belong to another layer too"),
        ("SLOWER", "no form is measured to be faster on these extents"),
    ],
)
def test_a_reason_is_a_sentence_that_reads_on_from_the_layer(name, reason):
    assert getattr(_conversion, name) == reason


def test_a_row_cannot_be_changed_and_is_equal_to_another_with_the_same_words():
    assert Conversion("a", "B") == Conversion("a", "B", None, None, None, "")
    for thing, name in [(REPLACED, "form"), (ConversionReport(()), "rows")]:
        with pytest.raises(FrozenInstanceError):
            setattr(thing, name, None)
