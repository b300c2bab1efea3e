"""Matrix products with few columns, which BLAS does poorly: a row of the result fits one wide register."""

from __future__ import annotations

from collections.abc import Mapping

from dltrain.autodiff.compiler.ir import Node
from dltrain.autodiff.compiler.native.function import C_TYPES, CFunction
from dltrain.autodiff.ops.matmul import Matmul
from dltrain.autodiff.spec import Array

MOST_COLUMNS = 16

# out[i, j] = sum over k of a[i, k] b[k, j]. 256 rows of b at a time are copied into registers' width; then
# eight rows of the result are summed at once, so that the processor can overlap as many sums.
THIN_PRODUCT = """
typedef {T} row_{T} __attribute__((vector_size(16 * sizeof({T}))));

static inline __attribute__((always_inline)) void thin_rows_{T}(
    int count, const {T} *a, int64_t a_row, int64_t a_column, const row_{T} *b, int64_t depth,
    {T} *out, int64_t columns, int first) {
  row_{T} sum[8] = {{0}};
  for (int64_t k = 0; k < depth; ++k) {
#pragma GCC unroll 8
    for (int r = 0; r < count; ++r) sum[r] += a[r * a_row + k * a_column] * b[k];
  }
  for (int r = 0; r < count; ++r)
    for (int64_t j = 0; j < columns; ++j)
      out[r * columns + j] = (first ? 0 : out[r * columns + j]) + sum[r][j];
}

static void thin_product_{T}(
    const {T} *a, int64_t a_row, int64_t a_column, const {T} *b, int64_t b_row, int64_t b_column,
    {T} *out, int64_t rows, int64_t inner, int64_t columns) {
  row_{T} packed[256];
  memset(packed, 0, sizeof packed);
  for (int64_t start = 0; start < inner || start == 0; start += 256) {
    const int64_t depth = inner - start < 256 ? inner - start : 256;
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t j = 0; j < columns; ++j) packed[k][j] = b[(start + k) * b_row + j * b_column];
    const {T} *from = a + start * a_column;
    int64_t i = 0;
    for (; i + 8 <= rows; i += 8)
      thin_rows_{T}(8, from + i * a_row, a_row, a_column, packed, depth, out + i * columns, columns, !start);
    for (; i < rows; ++i)
      thin_rows_{T}(1, from + i * a_row, a_row, a_column, packed, depth, out + i * columns, columns, !start);
  }
}
"""


def is_thin_product(node: Node, arrays: Mapping[Node, Array]) -> bool:
    """Whether the node multiplies two matrices into one of few columns."""
    out = arrays[node]
    return isinstance(node.op, Matmul) and out.ndim == 2 and 0 < out.shape[1] <= MOST_COLUMNS and out.size > 0


def write_thin_product(function: CFunction, node: Node, arrays: Mapping[Node, Array]) -> None:
    """A call of `thin_product` for the node's type."""
    assert isinstance(node.op, Matmul)
    a, b = (arrays[source] for source in node.inputs)
    a = a.T if node.op.transpose_a else a
    b = b.T if node.op.transpose_b else b
    out = arrays[node]
    c_type = C_TYPES[out.dtype]
    function.helpers.add(THIN_PRODUCT.replace("{T}", c_type))
    with function.block():
        left, right = function.pointer(a), function.pointer(b)
        result = function.pointer(out, write=True)
        steps = [function.size(stride // array.itemsize) for array in (a, b) for stride in array.strides]
        sizes = [function.size(size) for size in (*out.shape[:1], a.shape[1], out.shape[1])]
        a_row, a_column, b_row, b_column = steps
        rows, inner, columns = sizes
        function.line(
            f"thin_product_{c_type}({left}, {a_row}, {a_column}, {right}, {b_row}, {b_column}, "
            f"{result}, {rows}, {inner}, {columns});"
        )
