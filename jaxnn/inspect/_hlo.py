"""Reads the text of a compiled program (HLO): kernels, collectives, floating-point operations and bytes of one step."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "all-to-all",
    "reduce-scatter",
    "collective-permute",
    "collective-broadcast",
)
FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "opt-barrier", "domain"}
FREE |= {"partition-id", "replica-id", "while", "conditional", "call", "async-start", "async-update", "async-done"}
FREE |= {"copy-start", "copy-done", "slice-start", "slice-done", *(f"{kind}-done" for kind in COLLECTIVES)}
"""Operations that start no kernel of their own; copies and slices with a start and a done are done by the memory."""
BITS = {"pred": 8, "bf16": 16, **{f"{kind}{bits}": bits for kind in "fsuc" for bits in (4, 8, 16, 32, 64, 128)}}
SLICES = {"gather", "dynamic-slice", "slice"}


class Collective(NamedTuple):
    """A collective operation of several devices."""

    kind: str
    """Such as "all-reduce"."""
    bytes: int
    """Size of its results on one device."""


class Work(NamedTuple):
    """What one device does in a part of a program."""

    kernels: int
    """Kernels launched."""
    collectives: tuple[Collective, ...]
    flops: dict[str, float]
    """Floating-point operations of matrix products and convolutions, by the type of their inputs."""
    bytes: float
    """Read and written by the kernels, in the device's main memory."""


class Shape(NamedTuple):
    """An array in the text of a program."""

    kind: str
    sizes: tuple[int, ...]
    layout: str

    @property
    def bytes(self) -> int:
        """Without the layout's padding."""
        return math.prod(self.sizes) * BITS.get(self.kind, 0) // 8

    @property
    def stored(self) -> int:
        """Bytes in main memory, padding of the layout's tiles included; 0 in a faster memory, S(1) and others."""
        if re.search(r"S\([1-9]", self.layout):
            return 0
        order = [int(axis) for axis in re.findall(r"\d+", self.layout.partition(":")[0])]
        sizes = [self.sizes[axis] for axis in order] if len(order) == len(self.sizes) else [*self.sizes[::-1]]
        if tile := re.search(r"T\(([\d,]+)\)", self.layout):
            for i, size in enumerate(map(int, reversed(tile[1].split(",")))):
                if i < len(sizes):
                    sizes[i] = -(-sizes[i] // size) * size
        return math.prod(sizes) * BITS.get(self.kind, 0) // 8


class Instruction(NamedTuple):
    """A line of a computation."""

    name: str
    shapes: tuple[Shape, ...]
    """Its results."""
    operation: str
    operands: tuple[str, ...]
    rest: str
    root: bool

    def attribute(self, name: str) -> str:
        """The computation or the numbers that an attribute names, "" if it is absent."""
        found = re.search(rf"[ ,]{name}=(?:\{{([^}}]*)\}}|%?([\w.\-]+))", self.rest)
        return "" if found is None else found[1] or found[2] or ""

    @property
    def source(self) -> str:
        """Where in the traced function it comes from."""
        found = re.search(r'op_name="([^"]*)"', self.rest)
        return "" if found is None else found[1]


class Program:
    """The computations of a compiled program, by name."""

    def __init__(self, text: str) -> None:
        self.computations: dict[str, dict[str, Instruction]] = {}
        self.known: dict[str, Work] = {}
        self.entry, instructions = "", {}
        for line in text.splitlines():
            if head := re.match(r"(ENTRY )?%?([\w.\-]+) \(.*\{$", line):
                instructions = self.computations.setdefault(head[2], {})
                self.entry = head[2] if head[1] else self.entry
            elif (found := _instruction(line)) is not None:
                instructions[found.name] = found

    def called(self, instruction: Instruction) -> list[tuple[str, int]]:
        """The computations that an instruction runs, and how often."""
        trips = re.search(r'known_trip_count":\{"n":"(\d+)', instruction.rest)
        times = {"calls": 1, "true_computation": 1, "false_computation": 1, "branch_computations": 1}
        if instruction.operation == "while":
            times = {"body": int(trips[1]) if trips else 1}
        elif instruction.operation == "call":
            times = {"to_apply": 1}
        names = [(name.strip(" %"), n) for key, n in times.items() for name in instruction.attribute(key).split(",")]
        return [(name, n) for name, n in names if name and name in self.computations]

    def step(self) -> str:
        """The computation that is one step.

        It is the body of the innermost loop that computes a gradient; of a program without one, the body of the loop
        with most of the products; of a program without such loops, the whole program.
        """
        gradients, others, waiting = [], [], [(self.entry, 0)]
        while waiting:
            name, depth = waiting.pop()
            for instruction in self.computations[name].values():
                for inside, times in self.called(instruction):
                    if instruction.operation == "while" and "jvp(" not in instruction.source:
                        flops = times * sum(self.work(inside).flops.values())
                        others += [(flops, inside)] if flops else []
                        gradients += [(depth + 1, flops, inside)] if self._has_gradient(inside) else []
                    if instruction.operation != "fusion":
                        waiting.append((inside, depth + (instruction.operation == "while")))
        if gradients:
            return max(gradients)[-1]
        whole = sum(self.work(self.entry).flops.values())
        return max(others)[-1] if others and 2 * max(others)[0] > whole else self.entry

    def _has_gradient(self, name: str) -> bool:
        """Whether a computation itself, without the loops in it, goes backwards."""
        return any(
            "transpose(jvp(" in instruction.source
            or any(self._has_gradient(inside) for inside, _ in self.called(instruction))
            for instruction in self.computations[name].values()
            if instruction.operation != "while"
        )

    def work(self, name: str) -> Work:
        """What one run of a computation does, loops in it as often as they run where that is known."""
        if name not in self.known:
            self.known[name] = self._work(name)
        return self.known[name]

    def _work(self, name: str) -> Work:
        kernels, collectives, flops, moved = 0, [], {}, 0.0
        instructions = self.computations[name]
        for instruction in instructions.values():
            kind = instruction.operation.removesuffix("-start")
            is_kernel = instruction.operation not in FREE and not _is_scalar(instruction)
            if kind in COLLECTIVES:
                given = instruction.shapes
                if instruction.operation != kind != "all-reduce" and len(given) > 1:  # operands, results, and numbers
                    given = [shape for shape in given if shape.sizes]
                    given = given[len(given) // 2 :]
                collectives.append(Collective(kind, sum(shape.bytes for shape in given)))
            for kind, count in self._products(instruction, instructions):
                flops[kind] = flops.get(kind, 0.0) + count
            if is_kernel or instruction.operation in ("copy-start", "slice-start"):
                moved += self._moved(instruction, instructions)
            kernels += is_kernel
            for inside, times in self.called(instruction):
                work = self.work(inside)
                collectives += work.collectives * times
                for kind, count in work.flops.items():
                    flops[kind] = flops.get(kind, 0.0) + times * count
                if instruction.operation != "fusion":
                    kernels += times * work.kernels
                    moved += times * work.bytes
        return Work(kernels, tuple(collectives), flops, moved)

    def _products(self, instruction: Instruction, among: dict[str, Instruction]) -> Iterable[tuple[str, float]]:
        """The type and the operations of a matrix product or convolution."""
        inputs = [among[name].shapes[0] for name in instruction.operands if name in among and among[name].shapes]
        if len(inputs) < 2 or not instruction.shapes:
            return
        (left, right), result = inputs[:2], instruction.shapes[0]
        if instruction.operation == "dot":
            axes = instruction.attribute("lhs_contracting_dims")
        elif "__cublas" in instruction.rest:
            found = re.search(r'"lhs_contracting_dimensions":\[([^\]]*)\]', instruction.rest)
            axes = "" if found is None else found[1]
        elif found := re.search(r"dim_labels=\w+?_(\w+)->", instruction.rest):
            if "BackwardInput" in instruction.rest:  # cuDNN keeps the names of the forward convolution
                result = left
            elif "BackwardFilter" in instruction.rest:
                result, right = right, result
            products = 2.0 * math.prod(result.sizes) * math.prod(right.sizes) / right.sizes[found[1].index("o")]
            holes = re.search(r"lhs_dilate=([\dx]+)", instruction.rest)  # zeros between the inputs
            yield left.kind, products / math.prod(map(int, holes[1].split("x")) if holes else ())
            return
        else:
            return
        depth = math.prod(left.sizes[int(axis)] for axis in re.findall(r"\d+", axes))
        yield left.kind, 2.0 * math.prod(result.sizes) * depth

    def _moved(self, instruction: Instruction, among: dict[str, Instruction]) -> float:
        """Bytes that a kernel reads and writes; of an array that it only takes slices of, the slices."""
        inside = self.computations.get(instruction.attribute("calls"), {}) if instruction.operation == "fusion" else {}
        if not inside:  # a kernel of one operation
            inside = {
                name: Instruction(name, (), "parameter", (str(i),), "", False)
                for i, name in enumerate(instruction.operands)
            } | {instruction.name: instruction._replace(root=True)}
        users: dict[str, list[Instruction]] = {}
        for one in inside.values():
            for operand in one.operands:
                users.setdefault(operand, []).append(one)
        total = 0.0
        for one in inside.values():
            if one.operation == "parameter":
                given = among.get(instruction.operands[int(one.operands[0])])
                stored = 0 if given is None else sum(shape.stored for shape in given.shapes)
                total += min(stored, _read(one.name, users))
        [root] = [one for one in inside.values() if one.root]
        many = root.operation == "tuple"
        results = [inside[name] for name in root.operands] if many else [root] * len(instruction.shapes)
        for shape, result in zip(instruction.shapes, results, strict=False):
            if instruction.operation == "custom-call" and shape.kind == "s8":  # room to work in
                continue
            total += min(shape.stored, _written(result, inside, among))
        return total


def collectives(text: str) -> list[Collective]:
    """The collective operations in the text of a compiled program; those in the body of a loop are listed once."""
    found = [_instruction(line) for line in text.splitlines() if any(kind in line for kind in COLLECTIVES)]
    program = Program("")
    program.computations[""] = {one.name: one for one in found if one is not None}
    return [*program.work("").collectives]


def _read(name: str, users: dict[str, list[Instruction]]) -> float:
    """Bytes read of a value inside a kernel: all, unless it is only sliced or updated in place."""
    total = 0.0
    for user in users.get(name, ()):
        first = user.operands[0] == name
        if user.operation == "bitcast":
            total += _read(user.name, users)
        elif first and user.operation in SLICES:
            total += sum(shape.bytes for shape in user.shapes)
        elif not (first and user.operation == "dynamic-update-slice"):
            return math.inf
    return total


def _written(result: Instruction, inside: dict[str, Instruction], among: dict[str, Instruction]) -> float:
    """Bytes written of a result of a kernel: all, unless it is an update in place."""
    while result.operation == "bitcast" and result.operands[0] in inside:
        result = inside[result.operands[0]]
    if result.operation != "dynamic-update-slice":
        return math.inf
    update = result.operands[1]
    shapes = inside[update].shapes or (among[update].shapes if update in among else ())
    return sum(shape.bytes for shape in shapes)


def _is_scalar(instruction: Instruction) -> bool:
    """Whether it is arithmetic of single numbers, which a TPU's scalar unit does beside the kernels."""
    return instruction.operation not in ("fusion", "custom-call", *COLLECTIVES) and all(
        math.prod(shape.sizes) <= 1 for shape in instruction.shapes
    )


def _instruction(line: str) -> Instruction | None:
    """A line of a computation, or None if it is something else."""
    found = re.match(r"\s+(ROOT )?%?([\w.\-]+) = ", line)
    if found is None:
        return None
    shape, line = _split(line[found.end() :])
    operation = re.match(r" ?([\w\-]+)(?=\()", line)
    if operation is None:
        return None
    operands, rest = _split(line[operation.end() :])
    shapes = tuple(
        Shape(kind, tuple(int(size) for size in sizes.split(",") if size), layout)
        for kind, sizes, layout in re.findall(r"\b([a-z]+\d*)\[([\d,]*)\](?:\{([^}]*)\})?", shape)
    )
    names = tuple(re.findall(r"%([\w.\-]+)", operands) or [operands.strip("()")])
    return Instruction(found[2], shapes, operation[1], names, rest, bool(found[1]))


def _split(line: str) -> tuple[str, str]:
    """A shape or a list in parentheses at the start of a line, and what follows."""
    if not line.startswith("("):
        first, _, rest = line.partition(" ")
        return first, rest
    depth = 0
    for i, letter in enumerate(line):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return line[: i + 1], line[i + 1 :]
    return line, ""
