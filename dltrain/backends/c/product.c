/* The matrix product out = a b of REAL numbers, for any strides of a and b.

   After Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication": the result is cut into
   tiles that fit the processor's registers, and DEPTH rows of b at a time stay in its cache. Where b's rows are
   contiguous they are read where they stand; only what is left is packed first.

   Every number is the sum of its terms in order, in parts of DEPTH: how the work is cut into tasks does not
   change a bit. */

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define REGISTER_BYTES 64
#define MOST_ROWS 14 /* of a tile: its sums and a row of b fill the registers */
#elif defined(__AVX__)
#define REGISTER_BYTES 32
#define MOST_ROWS 6
#else
#define REGISTER_BYTES 16
#define MOST_ROWS 6
#endif
#define DEPTH 256
#define PAGE 4096 /* rows of b farther apart, in bytes, crowd each other out of the cache: they are packed too */

/* a b + c, rounded once where the processor can. GCC, left to fuse the two, does so in some tiles and not in others
   (it avoids chains of fused operations on some processors): a number would depend on the tile that it is in. */
#if defined(__AVX512F__) || defined(__AVX__) && defined(__FMA__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__)
#define MULTIPLY_ADD _Generic((REAL)0, float: _mm512_fmadd_ps, double: _mm512_fmadd_pd)
#elif defined(__AVX__) && defined(__FMA__)
#define MULTIPLY_ADD _Generic((REAL)0, float: _mm256_fmadd_ps, double: _mm256_fmadd_pd)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define LANES ((int64_t)(REGISTER_BYTES / sizeof(REAL))) /* numbers in a register */
#define PANEL (2 * LANES)                                 /* columns of a tile */

typedef REAL lanes __attribute__((vector_size(REGISTER_BYTES)));
typedef REAL unaligned __attribute__((vector_size(REGISTER_BYTES), aligned(sizeof(REAL))));

/* One tile: `rows` by `wide` registers, kept in registers over the whole depth. */
static inline __attribute__((always_inline)) void tile(
    const int rows, const int wide, const REAL *a, int64_t a_row, int64_t a_column, const REAL *b, int64_t b_row,
    int64_t depth, REAL *out, int64_t out_row, int first) {
  lanes sum[MOST_ROWS][2];
  UNROLL
  for (int i = 0; i < rows; ++i)
  UNROLL
    for (int j = 0; j < wide; ++j) sum[i][j] = (lanes){0};
  for (int64_t k = 0; k < depth; ++k) {
    lanes right[2];
  UNROLL
    for (int j = 0; j < wide; ++j) right[j] = *(const unaligned *)(b + k * b_row + j * LANES);
  UNROLL
    for (int i = 0; i < rows; ++i) {
      const lanes left = a[i * a_row + k * a_column] - (lanes){0};
  UNROLL
      for (int j = 0; j < wide; ++j) sum[i][j] = MULTIPLY_ADD(left, right[j], sum[i][j]);
    }
  }
  UNROLL
  for (int i = 0; i < rows; ++i)
  UNROLL
    for (int j = 0; j < wide; ++j) {
      unaligned *const target = (unaligned *)(out + i * out_row + j * LANES);
      *target = first ? sum[i][j] : *target + sum[i][j];
    }
}

/* `rows` rows of a panel that is `wide` registers wide, in tiles of as many rows as there can be. */
#define ROWS_OF_TILE(count, wide)                                                                            \
  for (; i + count <= rows; i += count)                                                                      \
    tile(count, wide, a + i * a_row, a_row, a_column, b, b_row, depth, out + i * out_row, out_row, first);
#define TILES(wide) ROWS_OF_TILE(MOST_ROWS, wide) ROWS_OF_TILE(4, wide) ROWS_OF_TILE(2, wide) ROWS_OF_TILE(1, wide)

static void tiles(
    int64_t wide, int64_t rows, const REAL *a, int64_t a_row, int64_t a_column, const REAL *b, int64_t b_row,
    int64_t depth, REAL *out, int64_t out_row, int first) {
  int64_t i = 0;
  if (wide == 1) {
    TILES(1)
  } else {
    TILES(2)
  }
}

/* `columns` columns of `depth` rows of b, side by side, filled up with zeros to `width`. */
static void pack(
    const REAL *b, int64_t b_row, int64_t b_column, int64_t depth, int64_t columns, int64_t width, REAL *packed) {
  if (columns < width) memset(packed, 0, depth * width * sizeof(REAL));
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t j = 0; j < columns; ++j) packed[k * width + j] = b[k * b_row + j * b_column];
}

/* Rows and columns of out from one of the tasks. */
static void block(
    const REAL *a, int64_t a_row, int64_t a_column, const REAL *b, int64_t b_row, int64_t b_column, REAL *out,
    int64_t out_row, int64_t rows, int64_t inner, int64_t columns) {
  REAL packed[DEPTH * PANEL] __attribute__((aligned(REGISTER_BYTES)));
  REAL edge[MOST_ROWS * PANEL];
  for (int64_t k = 0; k < inner || k == 0; k += DEPTH) {
    const int64_t depth = inner - k < DEPTH ? inner - k : DEPTH;
    for (int64_t j = 0; j < columns; j += PANEL) {
      const int64_t width = columns - j < PANEL ? columns - j : PANEL;
      const REAL *panel = b + k * b_row + j * b_column;
      int64_t panel_row = b_row;
      if (b_column != 1 || width % LANES || b_row * (int64_t)sizeof(REAL) >= PAGE) {
        panel_row = width <= LANES ? LANES : PANEL;
        pack(panel, b_row, b_column, depth, width, panel_row, packed);
        panel = packed;
      }
      const REAL *left = a + k * a_column;
      if (width % LANES) {
        for (int64_t i = 0; i < rows; i += MOST_ROWS) {
          const int64_t count = rows - i < MOST_ROWS ? rows - i : MOST_ROWS;
          tiles(
              panel_row / LANES, count, left + i * a_row, a_row, a_column, panel, panel_row, depth, edge, panel_row, 1);
          for (int64_t r = 0; r < count; ++r)
            for (int64_t c = 0; c < width; ++c) {
              REAL *const target = out + (i + r) * out_row + j + c;
              *target = k ? *target + edge[r * panel_row + c] : edge[r * panel_row + c];
            }
        }
      } else {
        tiles(
            width / LANES, rows, left, a_row, a_column, panel, panel_row, depth, out + j, out_row, !k);
      }
    }
  }
}

/* Tasks start..stop of the product; p: a, b, out. */
int64_t product(char **p, const int64_t *n, int64_t start, int64_t stop) {
  const int64_t a_batch = n[0], a_row = n[1], a_column = n[2], b_batch = n[3], b_row = n[4], b_column = n[5];
  const int64_t rows = n[6], inner = n[7], columns = n[8], block_rows = n[9], block_columns = n[10];
  const int64_t down = (rows + block_rows - 1) / block_rows, across = (columns + block_columns - 1) / block_columns;
  for (int64_t task = start; task < stop; ++task) {
    const int64_t batch = task / (down * across), i = task % down * block_rows,
                  j = task / down % across * block_columns;
    block(
        (const REAL *)p[0] + batch * a_batch + i * a_row, a_row, a_column,
        (const REAL *)p[1] + batch * b_batch + j * b_column, b_row, b_column,
        (REAL *)p[2] + batch * rows * columns + i * columns + j, columns,
        rows - i < block_rows ? rows - i : block_rows, inner,
        columns - j < block_columns ? columns - j : block_columns);
  }
  return 0;
}
