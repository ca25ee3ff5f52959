"""The specification, the cases that judge it and the code that carries it out name the same clauses."""

import ast
import re
from pathlib import Path

import pytest

import subpixel_core
from subpixel_conformance.cases import all_cases
from subpixel_conformance.clauses import clauses, specification_version

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "docs" / "spec").glob("*.md"))
REFERENCE = sorted((ROOT / "subpixel_core").glob("*.py"))
BACKENDS = sorted((ROOT / "backends").glob("*/*.py"))
CLAUSE = re.compile(r"^\*\*([A-Z]{2}-\d{3})\*\* (.*?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
RFC_2119 = re.compile(r"\b(MUST(?: NOT)?|REQUIRED|SHALL(?: NOT)?|SHOULD(?: NOT)?|RECOMMENDED|MAY|OPTIONAL)\b")

IN_THE_BACKENDS = {"EX-001", "EX-002", "EX-003", "GR-003", "SC-002", "SC-004", "IC-004", "IC-007", "IC-008", "IC-009", "IC-010", "UN-013"}
"""What holds of layers and of execution, which the reference has none of."""


def paragraphs(path):
    """Return (id, text) of the clauses of a file, by a reading of its own."""
    return CLAUSE.findall(path.read_text(encoding="utf-8"))


def named(text):
    """Return the clauses that comments name, ranges such as ``PS-001 to PS-012`` included."""
    found = set()
    for comment in re.findall(r"#(.*)$", text, re.MULTILINE):
        for area, first, last in re.findall(r"\b([A-Z]{2})-(\d{3})(?: to \1-(\d{3}))?", comment):
            found |= {f"{area}-{number:03}" for number in range(int(first), int(last or first) + 1)}
    return found


def in_the_specification():
    return [identifier for path in FILES for identifier, _ in paragraphs(path)]


# --- the text ---


def test_every_clause_has_an_id_of_its_own_and_the_suite_reads_the_same_ones():
    identifiers = in_the_specification()
    assert len(identifiers) > 50
    assert len(set(identifiers)) == len(identifiers)
    assert list(clauses()) == identifiers


def test_clauses_of_an_area_are_numbered_without_a_gap():
    for area in {identifier[:2] for identifier in in_the_specification()}:
        numbers = [int(identifier[3:]) for identifier in in_the_specification() if identifier.startswith(area)]
        assert numbers == list(range(1, len(numbers) + 1)), area


def test_the_version_is_that_of_the_text():
    assert specification_version() == subpixel_core.SPEC_VERSION == "1.0"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_words_of_rfc_2119_stand_in_clauses_only_and_every_clause_has_one(path):
    text = path.read_text(encoding="utf-8")
    for identifier, clause in paragraphs(path):
        assert RFC_2119.search(clause), identifier
    outside = re.sub(r"```.*?```", "", CLAUSE.sub("", text), flags=re.DOTALL)
    if path.name == "README.md":
        outside = re.sub(r"^(that two|A clause is a paragraph|the clauses it implements).*$", "", outside, flags=re.MULTILINE)
    assert RFC_2119.findall(outside) == []


def test_every_clause_that_a_text_cites_exists():
    known = set(in_the_specification())
    for path in [*FILES, *REFERENCE, *BACKENDS]:
        cited = set(re.findall(r"\b[A-Z]{2}-\d{3}\b", path.read_text(encoding="utf-8")))
        assert cited <= known, path.name


SECTIONS = {
    "phase-shift.md": ["Inputs", "Output", "errors", "Gradient"],
    "convolution.md": ["Inputs", "Output", "Errors", "Gradient", "Numerics"],
    "icnr.md": ["Inputs", "Outputs", "Errors", "Numerics", "Gradient"],
    "stages.md": ["Inputs", "Output", "Errors", "Numerics", "Gradient"],
    "unet.md": ["Inputs", "Output", "Errors", "Numerics", "Gradient"],
    "weights.md": ["Inputs", "Output", "Errors", "Numerics", "Gradient"],
    "equivalence.md": ["Inputs", "Output", "Errors", "Numerics", "Gradient"],
    "blur.md": ["Inputs", "Output", "Errors", "Gradient", "Numerics"],
    "errors.md": ["Numerics"],
}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_operation_states_its_inputs_output_errors_numerics_and_gradient(name):
    text = (ROOT / "docs" / "spec" / name).read_text(encoding="utf-8")
    missing = [word for word in SECTIONS[name] if not re.search(rf"[*_][^*\n]*\b{word}\b[^*\n]*[*_]", text)]
    assert missing == []


HEADINGS = [
    *(
        "Phase shift",
        "Inverse phase shift",
        "Moving weights between orders",
        "Convolution",
        "Transposed convolution and nearest-neighbour upsampling",
    ),
    *("The sub-pixel layer", "Separable", "ICNR: initialized to convolution, nearest-neighbour resize", "Chained stages: the arithmetic"),
    *("Exact equivalences", "Blur, and the checkerboard", "The measure"),
    *("The residual U-Net", "The weight file"),
]


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_section_of_every_operation_states_what_goes_in_what_comes_out_and_what_is_refused(heading):
    texts = [path.read_text(encoding="utf-8") for path in FILES]
    (section,) = [
        found for text in texts for found in re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
    ]
    assert [word for word in ("Input", "Output", "rror") if not re.search(rf"\*\*[^*\n]*{word}[^*\n]*\*\*", section)] == []


OPERATIONS = [
    *("phase_shift", "inverse_phase_shift", "channel_permutation", "conv", "conv_transpose", "nearest_upsample", "subpixel_conv"),
    *("separable_subpixel_conv", "icnr", "icnr_bias", "icnr_residual", "icnr_weight_norm", "plan_stages", "box_blur", "checkerboard"),
    *("deconv_to_subpixel", "subpixel_to_deconv", "fractionally_strided_conv", "resize_conv_to_subpixel", "shift_conv_to_subpixel"),
    *("conv_unshift_to_strided", "unshift_conv_to_strided", "collapse_stages", "choose_form"),
    *("parameter_shapes", "init_parameters", "residual_unet", "save_weights", "load_weights"),
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_has_an_executed_example(operation):
    examples = [block for path in FILES for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)]
    assert any(re.search(rf"^>>> .*\b{operation}\(", block, re.MULTILINE) for block in examples)


# --- the cases ---


@pytest.fixture(scope="module")
def cases():
    return all_cases("exhaustive")


def test_every_clause_that_says_must_has_a_case(cases):
    judged = {identifier for case in cases for identifier in case.clauses}
    required = {identifier for path in FILES for identifier, text in paragraphs(path) if "MUST" in text}
    assert required - judged == set()


def test_every_case_cites_clauses_that_exist(cases):
    known = set(in_the_specification())
    assert {case.id: case.clauses for case in cases if not case.clauses or not set(case.clauses) <= known} == {}


def test_every_case_has_an_id_of_its_own_and_the_full_ones_are_among_the_exhaustive(cases):
    identifiers = [case.id for case in cases]
    assert len(set(identifiers)) == len(identifiers)
    assert {case.id for case in all_cases()} <= set(identifiers)


# --- the reference ---


def test_the_reference_names_every_clause_that_is_about_it():
    implemented = set().union(*(named(path.read_text(encoding="utf-8")) for path in REFERENCE))
    assert set(in_the_specification()) - implemented <= IN_THE_BACKENDS


def test_every_public_operation_of_the_reference_names_a_clause():
    for path in REFERENCE:
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name in OPERATIONS:
                assert named("\n".join(lines[node.lineno - 1 : node.end_lineno])), node.name


def test_the_comments_are_read_with_their_ranges():
    assert named("x = 1  # PS-001 to PS-003, IP-002\n# see ST-007") == {"PS-001", "PS-002", "PS-003", "IP-002", "ST-007"}
    assert named('"""PS-001 in a docstring does not count."""') == set()


@pytest.mark.parametrize("text", ["It MUST hold.", "You SHALL not.", "That is REQUIRED.", "One MAY."])
def test_the_search_for_normative_words_finds_them_outside_a_clause(text):
    assert RFC_2119.search(CLAUSE.sub("", f"**XX-001** This MUST be.\n\n{text}\n"))
    assert not RFC_2119.search(CLAUSE.sub("", f"**XX-001** This MUST be.\n\n**XX-002** {text}\n"))
