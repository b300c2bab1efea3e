/* The cumulative sum along an axis of arrays that lie row by row. p: x, out; n: places in the axis, numbers behind it,
   lines along it, lines of a task, whether it begins at the end, whether it leaves out the number itself. */

#include <stdint.h>

#define LEAST(a, b) ((a) < (b) ? (a) : (b))

int64_t cumsum(char **p, const int64_t *n, int64_t start, int64_t stop) {
  const int64_t count = n[0], after = n[1], lines = LEAST(stop * n[3], n[2]), reverse = n[4], exclusive = n[5];
  const int64_t step = reverse ? -after : after, from = reverse ? (count - 1) * after : 0;
  for (int64_t line = start * n[3]; line < lines;) {
    const int64_t first = line % after, end = LEAST(after, first + lines - line);
    const REAL *x = (const REAL *)p[0] + line / after * count * after + from;
    REAL *out = (REAL *)p[1] + line / after * count * after + from;
    for (int64_t j = first; j < end; ++j) out[j] = exclusive ? 0 : x[j];
    for (int64_t i = 1; i < count; ++i, x += step, out += step)
      for (int64_t j = first; j < end; ++j) out[j + step] = out[j] + x[exclusive ? j : j + step];
    line += end - first;
  }
  return 0;
}
