/* Choosing by indices along an axis, and adding where they point. The arrays lie row by row; what stands before the axis
   is taken together, and so is what stands behind it. With ALONG each number has an index of its own, else each
   place of the axis has one. An index out of range is refused. */

#include <stdint.h>
#include <string.h>

enum { AHEAD = 4, CACHE_LINE = 64 };

#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define INDEX(b, i, j) indices[ALONG ? ((b) * count + (i)) * after + (j) : (i)]

/* Slices that are far apart come slowly from memory, so they are asked for some rows ahead.
   p: x, indices, out; n: places in out's axis, in x's axis, numbers behind it, rows of so many in out, rows of a
   task. */
int64_t take(char **p, const int64_t *n, int64_t start, int64_t stop) {
  const REAL *const x = (const REAL *)p[0];
  const int64_t *const indices = (const int64_t *)p[1], count = n[0], size = n[1], after = n[2];
  REAL *restrict const out = (REAL *)p[2];
  for (int64_t row = start * n[4], end = LEAST(stop * n[4], n[3]); row < end; ++row) {
    const int64_t b = row / count, i = row % count;
    if (!ALONG) {
      const char *const next = (const char *)(x + (b * size + indices[LEAST(i + AHEAD, count - 1)]) * after);
      for (size_t j = 0; j < after * sizeof *x; j += CACHE_LINE) __builtin_prefetch(next + j);
      if ((uint64_t)indices[i] >= (uint64_t)size) return 1;
      memcpy(out + row * after, x + (b * size + indices[i]) * after, after * sizeof *x);
    }
    for (int64_t j = 0; ALONG && j < after; ++j) {
      const int64_t index = indices[row * after + j];
      if ((uint64_t)index >= (uint64_t)size) return 1;
      out[row * after + j] = x[(b * size + index) * after + j];
    }
  }
  return 0;
}

/* Into zeros. p: x, indices, out; n: places in x's axis, in out's axis, numbers behind it, lines along the axis, lines
   of a task: so every sum has one order. */
int64_t add(char **p, const int64_t *n, int64_t start, int64_t stop) {
  const int64_t *const indices = (const int64_t *)p[1], count = n[0], size = n[1], after = n[2];
  const int64_t lines = LEAST(stop * n[4], n[3]);
  for (int64_t line = start * n[4]; line < lines;) {
    const int64_t b = line / after, first = line % after, end = LEAST(after, first + lines - line);
    const REAL *const x = (const REAL *)p[0] + b * count * after;
    REAL *restrict const out = (REAL *)p[2] + b * size * after;
    for (int64_t i = 0; i < size; ++i) memset(out + i * after + first, 0, (end - first) * sizeof *out);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t j = first; j < end; ++j) {
        const int64_t index = INDEX(b, i, j);
        if ((uint64_t)index >= (uint64_t)size) return 1;
        out[index * after + j] += x[i * after + j];
      }
    line += end - first;
  }
  return 0;
}
