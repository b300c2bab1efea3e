/* Sums of squares of parts of a vector, each finite only if all its numbers are. */

#include <stdint.h>

enum { LANES = 64 };

/* p: numbers, out; n: how many numbers. A task is a part; lanes are added up side by side. */
int64_t squares(char **p, const int64_t *n, int64_t start, int64_t stop) {
  const REAL *const x = (const REAL *)p[0];
  REAL *const out = (REAL *)p[1];
  for (int64_t task = start; task < stop; ++task) {
    const int64_t from = task * PART, to = n[0] - from < PART ? n[0] : from + PART;
    REAL lanes[LANES] = {0}, sum = 0;
    int64_t i = from;
    for (; i + LANES <= to; i += LANES)
      for (int64_t j = 0; j < LANES; ++j) lanes[j] += x[i + j] * x[i + j];
    for (; i < to; ++i) sum += x[i] * x[i];
    for (int64_t j = 0; j < LANES; ++j) sum += lanes[j];
    out[task] = sum;
  }
  return 0;
}
