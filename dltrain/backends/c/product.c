/* The matrix product out = a b of REAL numbers, for any strides of a and b and contiguous rows of out; and of stacks
   of matrices.

   After Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication": the result is cut into
   tiles that fit the processor's registers, and these are summed DEPTH rows of b at a time. A strip of a, the rows of
   a tile, stays in the first cache while it meets the panels of b, the columns of a tile, from the second. Both are
   read where they stand, unless they are so far apart that they crowd each other out of the caches: `strips` is the
   one place that copies such a strip, `pack` such panels. (Rows that are found in another way, as windows of an image
   are, could be gathered there.)

   Every number is the sum of its terms in order, in parts of DEPTH: how the work is cut into tasks does not
   change a bit. */

#include <stdint.h>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define REGISTER_BYTES 64
#define MOST_ROWS 14 /* of a tile: its sums and a row of b fill the registers */
#define SIZES(OF) OF(14) OF(8) OF(7) OF(6) OF(5) OF(4) OF(3) OF(2) OF(1)
#elif defined(__AVX__)
#define REGISTER_BYTES 32
#define MOST_ROWS 6
#define SIZES(OF) OF(6) OF(4) OF(3) OF(2) OF(1)
#else
#define REGISTER_BYTES 16
#define MOST_ROWS 6
#define SIZES(OF) OF(6) OF(4) OF(3) OF(2) OF(1)
#endif
#define DEPTH 256
#define SOON 16          /* rows of b before a tile's end; sooner, b's numbers would push out what is asked for */
#define ROWS_OF_A_COPY 4 /* of b: few, so that they are read along themselves */
#define PACKED_BYTES (512 << 10) /* of panels: they fit the second cache, and the stack of a thread */

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define LANES ((int64_t)(REGISTER_BYTES / sizeof(REAL))) /* numbers in a register */
#define PANEL (2 * LANES)                                 /* columns of a tile */
#define PACKED_COLUMNS (PACKED_BYTES / (int64_t)sizeof(REAL) / DEPTH)

typedef REAL lanes __attribute__((vector_size(REGISTER_BYTES)));
typedef REAL unaligned __attribute__((vector_size(REGISTER_BYTES), aligned(sizeof(REAL))));
typedef __typeof__(_Generic((REAL)0, float: (int32_t)0, double: (int64_t)0)) whole;
typedef whole whole_lanes __attribute__((vector_size(REGISTER_BYTES)));

static inline int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }

static inline whole_lanes lane_numbers(void) {
  whole_lanes numbers;
  UNROLL
  for (int i = 0; i < LANES; ++i) numbers[i] = i;
  return numbers;
}

/* multiply_add is a b + c, rounded once where the processor can. GCC, left to fuse the two, does so in some tiles and
   not in others (it avoids chains of fused operations on some processors): a number would depend on the tile that it
   is in.

   some(count) names the first lanes, for read_some and write_some, which touch no other numbers; what is read has
   zeros behind them. */
#if defined(__AVX512F__)
#define OF_TYPE(function) _Generic((REAL)0, float: function##_ps, double: function##_pd)
#define multiply_add OF_TYPE(_mm512_fmadd)
#define some(count) ((UINT32_C(1) << (count)) - 1)
#define read_some(from, lanes) OF_TYPE(_mm512_maskz_loadu)(lanes, from)
#define write_some OF_TYPE(_mm512_mask_storeu)
#elif defined(__AVX2__) && defined(__FMA__)
#define OF_TYPE(function) _Generic((REAL)0, float: function##_ps, double: function##_pd)
#define multiply_add OF_TYPE(_mm256_fmadd)
#define some(count) ((__m256i)(lane_numbers() < (whole)(count)))
#define read_some OF_TYPE(_mm256_maskload)
#define write_some OF_TYPE(_mm256_maskstore)
#else
#define multiply_add(a, b, c) ((a) * (b) + (c))
#define some(count) (count)
static inline lanes read_some(const REAL *from, int64_t count) {
  lanes numbers = {0};
  for (int64_t i = 0; i < count; ++i) numbers[i] = from[i];
  return numbers;
}
static inline void write_some(REAL *to, int64_t count, lanes numbers) {
  for (int64_t i = 0; i < count; ++i) to[i] = numbers[i];
}
#endif

#define FULL(count) (__builtin_constant_p(count) && (count) == LANES) /* as the compiler knows */

static inline lanes read_first(int64_t count, const REAL *from) {
  return FULL(count) ? *(const unaligned *)from : (lanes)read_some(from, some(count));
}

static inline void write_first(int64_t count, REAL *to, lanes numbers) {
  if (FULL(count)) *(unaligned *)to = numbers;
  else write_some(to, some(count), numbers);
}

/* One tile, kept in registers over the whole depth: `rows` rows of `wide` registers, the last of which has numbers in
   its first `last` lanes. */
static inline __attribute__((always_inline)) void tile(
    const int rows, const int wide, const int64_t last, const REAL *a, int64_t a_row, int64_t a_column, const REAL *b,
    int64_t b_row, int64_t depth, REAL *out, int64_t out_row, int first) {
  lanes sum[MOST_ROWS][2];
  UNROLL
  for (int i = 0; i < rows; ++i)
  UNROLL
    for (int j = 0; j < wide; ++j) sum[i][j] = (lanes){0};
  for (int64_t k = 0, end = first ? depth : depth - SOON;; end = depth) {
    for (; k < end; ++k) {
      lanes right[2];
  UNROLL
      for (int j = 0; j < wide; ++j)
        right[j] = read_first(j < wide - 1 ? LANES : last, b + k * b_row + j * LANES);
  UNROLL
      for (int i = 0; i < rows; ++i) {
        const lanes left = a[i * a_row + k * a_column] - (lanes){0};
  UNROLL
        for (int j = 0; j < wide; ++j) sum[i][j] = multiply_add(left, right[j], sum[i][j]);
      }
    }
    if (end == depth) break;
  UNROLL
    for (int i = 0; i < rows; ++i)
  UNROLL
      for (int j = 0; j < wide; ++j) __builtin_prefetch(out + i * out_row + j * LANES, 1);
  }
  UNROLL
  for (int i = 0; i < rows; ++i)
  UNROLL
    for (int j = 0; j < wide; ++j) {
      REAL *const to = out + i * out_row + j * LANES;
      const int64_t count = j < wide - 1 ? LANES : last;
      write_first(count, to, first ? sum[i][j] : read_first(count, to) + sum[i][j]);
    }
}

/* Rows of a panel of `columns` columns, in tiles of as many rows as there can be. Only the largest have a function of
   their own where the panel is full: the compiler takes its time for each. */
static void tiles(
    int64_t rows, int64_t columns, const REAL *a, int64_t a_row, int64_t a_column, const REAL *b, int64_t b_row,
    int64_t depth, REAL *out, int64_t out_row, int first) {
#define TILE(rows, wide, last) tile(rows, wide, last, a, a_row, a_column, b, b_row, depth, out, out_row, first)
#define TILES(count)                                                                 \
  for (; rows >= count; rows -= count, a += count * a_row, out += count * out_row) { \
    if (columns == PANEL && count == MOST_ROWS) TILE(count, 2, LANES);                                     \
    else if (columns > LANES) TILE(count, 2, columns - LANES);                       \
    else TILE(count, 1, columns);                                                    \
  }
  SIZES(TILES)
}

/* Rows of contiguous numbers. What is copied next lies `ahead` of them, and is asked for already. */
static void copy(
    const REAL *from, int64_t from_row, int64_t rows, int64_t columns, int64_t ahead, REAL *to, int64_t to_row) {
  for (; rows > 0; --rows, from += from_row, to += to_row) {
    int64_t j = 0;
    for (; j + LANES <= columns; j += LANES) {
      __builtin_prefetch(from + j + ahead);
      *(unaligned *)(to + j) = *(const unaligned *)(from + j);
    }
    if (j == columns) continue;
    __builtin_prefetch(from + j + ahead);
    *(unaligned *)(to + j) = read_first(columns - j, from + j);
  }
}

/* The numbers of x, then those of y, by their indices. */
static inline lanes shuffle(lanes x, lanes y, whole_lanes indices) {
#if defined(__clang__)
  lanes chosen;
  for (int i = 0; i < LANES; ++i) chosen[i] = indices[i] < LANES ? x[indices[i]] : y[indices[i] - LANES];
  return chosen;
#else
  return __builtin_shuffle(x, y, indices);
#endif
}

/* The columns of at most LANES rows of at most LANES numbers, as rows of LANES numbers. In each turn, two quarters of
   squares half as large change places. */
static inline void transpose(const REAL *from, int64_t from_row, int64_t height, int64_t width, REAL *to, int64_t to_row) {
  const whole_lanes lane = lane_numbers();
  lanes rows[LANES];
  UNROLL
  for (int i = 0; i < LANES; ++i) rows[i] = i < height ? read_first(width, from + i * from_row) : (lanes){0};
  UNROLL
  for (whole half = LANES / 2; half; half /= 2)
  UNROLL
    for (int i = 0; i < LANES; ++i)
      if (!(i & half)) {
        const lanes upper = rows[i], lower = rows[i + half];
        const whole_lanes indices = lane + (lane / half & 1) * ((whole)LANES - half);
        rows[i] = shuffle(upper, lower, indices);
        rows[i + half] = shuffle(upper, lower, indices + half);
      }
  UNROLL
  for (int i = 0; i < LANES; ++i)
    if (i < width) *(unaligned *)(to + i * to_row) = rows[i];
}

/* `depth` rows of b as panels, one after the other. */
static void pack(const REAL *b, int64_t b_row, int64_t b_column, int64_t depth, int64_t columns, REAL *packed) {
  const int64_t most = b_column == 1 ? ROWS_OF_A_COPY : depth;
  for (int64_t row = 0; row < depth; row += most)
    for (int64_t column = 0; column < columns; column += PANEL) {
      const int64_t height = least(depth - row, most), width = least(columns - column, PANEL);
      const REAL *const from = b + row * b_row + column * b_column;
      REAL *const to = packed + column * depth + row * PANEL;
      if (b_column == 1) {
        copy(from, b_row, height, width, most * b_row, to, PANEL);
      } else if (b_row == 1) {
        for (int64_t k = 0; k < height; k += LANES)
          for (int64_t j = 0; j < width; j += LANES)
            transpose(
                from + k + j * b_column, b_column, least(width - j, LANES), least(height - k, LANES),
                to + k * PANEL + j, PANEL);
      } else {
        for (int64_t k = 0; k < height; ++k)
          for (int64_t j = 0; j < width; ++j) to[k * PANEL + j] = from[k * b_row + j * b_column];
      }
    }
}

/* Strips of a times panels of b that lie `b_panel` apart. If a is far, each strip is copied first. */
static void strips(
    const REAL *a, int64_t a_row, int64_t a_column, int far, const REAL *b, int64_t b_row, int64_t b_panel, REAL *out,
    int64_t out_row, int64_t rows, int64_t depth, int64_t columns, int first) {
  REAL nearer[(MOST_ROWS + 2) * (DEPTH + LANES)] __attribute__((aligned(REGISTER_BYTES)));
  for (int64_t i = 0; i < rows; i += MOST_ROWS) {
    const int64_t count = least(rows - i, MOST_ROWS);
    const REAL *strip = a + i * a_row;
    const int64_t following = MOST_ROWS * a_row;
    int64_t row = a_row, column = a_column;
    if (far && a_column == 1) {
      row = DEPTH + LANES;
      copy(strip, a_row, count, depth, following, nearer, row);
      strip = nearer;
    } else if (far) {
      column = MOST_ROWS + 2;
      copy(strip, a_column, depth, count, following, nearer, column);
      strip = nearer;
    }
    for (int64_t j = 0; j < columns; j += PANEL)
      tiles(
          count, least(columns - j, PANEL), strip, row, column, b + j / PANEL * b_panel, b_row, depth,
          out + i * out_row + j, out_row, first);
  }
}

/* The same with panels that are packed first. */
static __attribute__((noinline)) void packed_strips(
    const REAL *a, int64_t a_row, int64_t a_column, int far, const REAL *b, int64_t b_row, int64_t b_column, REAL *out,
    int64_t out_row, int64_t rows, int64_t depth, int64_t columns, int first) {
  REAL packed[PACKED_COLUMNS * DEPTH] __attribute__((aligned(REGISTER_BYTES)));
  for (int64_t j = 0; j < columns; j += PACKED_COLUMNS) {
    const int64_t width = least(columns - j, PACKED_COLUMNS);
    pack(b + j * b_column, b_row, b_column, depth, width, packed);
    strips(a, a_row, a_column, far, packed, PANEL, PANEL * depth, out + j, out_row, rows, depth, width, first);
  }
}

/* Tasks start..stop of the product; p: a, b, out. A task is a block of a matrix, or some whole matrices. */
int64_t product(char **p, const int64_t *n, int64_t start, int64_t stop) {
  const int64_t rows = n[0], inner = n[1], columns = n[2];
  const int64_t a_row = n[3], a_column = n[4], b_row = n[5], b_column = n[6], out_row = n[7];
  const int64_t a_is_far = n[8], b_is_far = n[9], block_rows = n[10], block_columns = n[11];
  const int64_t matrices = n[12], each = n[13], axes = n[14]; /* for each axis of the stack: size, strides */
  const int64_t down = (rows + block_rows - 1) / block_rows, across = (columns + block_columns - 1) / block_columns;
  for (int64_t task = start; task < stop; ++task) {
    const int64_t i = task % down * block_rows, j = task / down % across * block_columns;
    const int64_t height = least(rows - i, block_rows), width = least(columns - j, block_columns);
    const int64_t begin = task / (down * across) * each, end = least(begin + each, matrices);
    for (int64_t matrix = begin; matrix < end; ++matrix) {
      const REAL *a = (const REAL *)p[0] + i * a_row, *b = (const REAL *)p[1] + j * b_column;
      REAL *out = (REAL *)p[2] + i * out_row + j;
      int64_t index = matrix;
      for (const int64_t *axis = n + 15 + 4 * axes; axis > n + 15; index /= *axis) {
        axis -= 4;
        const int64_t at = axis > n + 15 ? index % axis[0] : index;
        a += at * axis[1], b += at * axis[2], out += at * axis[3];
      }
      for (int64_t k = 0; k < inner || k == 0; k += DEPTH, a += DEPTH * a_column, b += DEPTH * b_row) {
        const int64_t depth = least(inner - k, DEPTH);
        if (b_is_far)
          packed_strips(
              a, a_row, a_column, a_is_far, b, b_row, b_column, out, out_row, height, depth, width, k == 0);
        else
          strips(a, a_row, a_column, a_is_far, b, b_row, PANEL, out, out_row, height, depth, width, k == 0);
      }
    }
  }
  return 0;
}
