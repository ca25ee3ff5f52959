"""Every small change of a module that a test should notice: those of cosmic-ray, of which a few per operator, and four of our own.

Annotations, docstrings, imports and aliases of types are left alone, for nothing runs them, and ``strict=True``, which only asserts what
the checks have seen to; so is what does not compile.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

# Of the 132 pairs of binary operators and the 56 of comparisons: those that a person might write by mistake.
BINARY = "Add_Sub Add_Mul Sub_Add Mul_Add Mul_FloorDiv Div_Mul FloorDiv_Mul FloorDiv_Div Mod_FloorDiv Pow_Mul BitOr_BitAnd"
COMPARISON = "Eq_NotEq Eq_GtE Eq_LtE NotEq_Eq NotEq_Lt NotEq_Gt Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Is_IsNot IsNot_Is"
OTHERS = (
    "ReplaceUnaryOperator_USub_UAdd ReplaceUnaryOperator_Delete_USub ReplaceUnaryOperator_Delete_Not AddNot ReplaceTrueWithFalse "
    "ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd ReplaceBreakWithContinue ReplaceContinueWithBreak ExceptionReplacer "
    "NumberReplacer RemoveDecorator ZeroIterationForLoop"
)
NAMES = (
    *(f"ReplaceBinaryOperator_{pair}" for pair in BINARY.split()),
    *(f"ReplaceComparisonOperator_{pair}" for pair in COMPARISON.split()),
    *OTHERS.split(),
)


class _Own(Operator):
    """An operator whose examples are in `test_mutations`."""

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


class TextReplacer(_Own):
    """Puts two letters before a text and, where it is a sentence, after it: the words of an error are part of the rule."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        if node.type in ("string", "fstring_string"):
            yield from [(node.start_pos, node.end_pos)] * (2 if " " in node.value else 1)

    def mutate(self, node: Any, index: int) -> Any:
        quotes = 0 if node.type == "fstring_string" else 1
        start = 0 if node.type == "fstring_string" else node.value.index(node.value[-1]) + 1
        end = len(node.value) - quotes
        at = (start, end)[index]
        node.value = f"{node.value[:at]}XX{node.value[at:]}"
        return node


class MembershipReplacer(_Own):
    """``in`` for ``not in``, and the other way."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        if node.type == "comparison" and node.children[1].get_code().split() in (["in"], ["not", "in"]):
            yield node.children[1].start_pos, node.children[1].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.children[1] = parso.parse(" in" if len(node.children[1].get_code().split()) == 2 else " not in")
        return node


class StatementRemover(_Own):
    """``None`` for a statement that is an expression: a check that is not made, an entry that is not added."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        if node.type == "simple_stmt" and node.children[0].type in ("atom_expr", "power"):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.children[0] = parso.parse(f"{node.children[0].get_first_leaf().prefix}None")
        return node


class ArgumentRemover(_Own):
    """Leaves out one ``name=value`` of a call."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        for argument in self._named(node):
            yield argument.start_pos, argument.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        argument = self._named(node)[index]
        at = node.children.index(argument)
        del node.children[at : at + 2]  # with the comma after it
        return node

    def _named(self, node: Any) -> list[Any]:
        if node.type != "arglist":
            return []
        return [child for child in node.children if child.type == "argument" and child.children[1] == "="]


OWN = {operator.__name__: operator for operator in (TextReplacer, MembershipReplacer, StatementRemover, ArgumentRemover)}


@dataclass(frozen=True)
class Mutation:
    """One change: which operator made it, where, and what the module reads then."""

    file: str
    line: int
    where: str
    operator: str
    before: str
    after: str
    source: str
    reached_by: tuple[int, int]
    """The lines of the statement that it changes, or of the body of the function whose head it changes; (0, 0) for what runs at import."""


def mutations(path: Path) -> Iterator[Mutation]:
    """Yield every mutation of a module."""
    source = path.read_text(encoding="utf-8")
    code = compile(source, str(path), "exec", dont_inherit=True)
    tree = ast.parse(source)
    left_alone, statements, names = _left_alone(tree), list(_statements(tree)), list(_names(tree))
    seen = {source}
    for above, part, below in _parts(source, tree):
        for name in [*NAMES, *OWN]:
            operator = OWN[name]() if name in OWN else get_operator(f"core/{name}")()
            positions = [position for node in ast_nodes(get_ast(part)) for position in operator.mutation_positions(node)]
            for occurrence, ((line, column), _) in enumerate(positions):
                line += above.count("\n")
                if any(first <= (line, column) < last for first, last in left_alone):
                    continue
                mutated = f"{above}{mutate_code(part, operator, occurrence)}{below}"
                if mutated in seen or not _another_program(mutated, path, code):
                    continue
                seen.add(mutated)
                before, after = _changed(source, mutated)
                if name.startswith("ReplaceComparisonOperator") and re.search(r"[<>]=? [\"']", after):
                    continue  # nobody orders words by mistake
                where, reached_by = _narrowest(names, line, ""), _narrowest(statements, line, (0, 0))
                yield Mutation(path.name, line, where, name, before, after, mutated, reached_by)


def _parts(source: str, tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    """Yield every statement of a module with what stands above and below it: short texts are parsed sooner."""
    lines = source.splitlines(keepends=True)
    for node in tree.body:
        first = min(part.lineno for part in (node, *getattr(node, "decorator_list", []))) - 1
        yield "".join(lines[:first]), "".join(lines[first : node.end_lineno]), "".join(lines[node.end_lineno :])


def _another_program(source: str, path: Path, code: Any) -> bool:
    try:
        return compile(source, str(path), "exec", dont_inherit=True) != code
    except (SyntaxError, ValueError):
        return False


def _changed(source: str, mutated: str) -> tuple[str, str]:
    """Return the lines that differ, stripped, joined by line breaks; with the next line, where a line is gone."""
    old, new = source.splitlines(), mutated.splitlines()
    start = next((i for i, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), min(len(old), len(new)))
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    end -= start == len(new) - end
    return tuple("\n".join(line.strip() for line in lines[start : len(lines) - end]) for lines in (old, new))  # type: ignore[return-value]


def _left_alone(tree: ast.Module) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return from where to where nothing is changed: annotations, docstrings, aliases of types, imports."""
    skipped: list[Any] = []
    for node in ast.walk(tree):
        skipped += [getattr(node, field) for field in ("annotation", "returns") if getattr(node, field, None) is not None]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.append(node)
        if isinstance(node, ast.Import | ast.ImportFrom) or (isinstance(node, ast.keyword) and node.arg == "strict"):
            skipped.append(node)
    for node in tree.body:
        union = isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.BitOr)
        literal = isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript)
        names = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"  # a test compares it with what there is
        if union or literal or names:
            skipped.append(node)
    return [((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)) for node in skipped]


def _statements(tree: ast.Module) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Yield the lines of every statement that runs when a function is called, and the lines by which it is seen to run.

    They are its own; of a statement with a body, those before it; of the head of a function, where decorators and defaults are, the body.
    """
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            first = min(node.lineno for node in (function, *function.decorator_list))
            yield first, function.body[0].lineno - 1, (function.body[0].lineno, function.end_lineno or 0)
            for node in ast.walk(function):
                if isinstance(node, ast.stmt | ast.excepthandler) and not isinstance(node, ast.FunctionDef):
                    body = getattr(node, "body", None)
                    last = (node.end_lineno or 0) if body is None else max(node.lineno, body[0].lineno - 1)
                    yield node.lineno, last, (node.lineno, last)


def _names(tree: ast.AST, outer: str = "") -> Iterator[tuple[int, int, str]]:
    """Yield the lines of every function and class, with its name."""
    for node in ast.iter_child_nodes(tree):
        inner = outer
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inner = f"{outer}.{node.name}".lstrip(".")
            yield min(part.lineno for part in (node, *node.decorator_list)), node.end_lineno or 0, inner
        yield from _names(node, inner)


def _narrowest(spans: list[tuple[int, int, Any]], line: int, otherwise: Any) -> Any:
    """Return what belongs to the narrowest of the spans that hold a line."""
    within = [span for span in spans if span[0] <= line <= span[1]]
    return min(within, key=lambda span: span[1] - span[0])[2] if within else otherwise
