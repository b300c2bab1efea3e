/* Order along an axis of arrays that lie row by row: a line is all that differs only in its place along the axis. p: x,
   out, and for each task a line of keys and one of places; n: places in the axis, numbers behind it, lines along it,
   lines of a task. */

#include <stdint.h>
#include <string.h>

#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define SHORT 32 /* numbers that are sorted by insertion */
#define DIGITS 256
#define DIGIT(key, place) ((key) >> 8 * (place) & (DIGITS - 1))

/* What is ordered as the numbers are, as a number without a sign: nan last, -0 as 0. */
static inline KEY key(NUMBER x) {
  const KEY top = (KEY)1 << (8 * sizeof(KEY) - 1);
  KEY bits;
  x += 0;
  memcpy(&bits, &x, sizeof bits);
  if (x != x)
    bits = (KEY)-1;
  else if (IS_FLOAT)
    bits ^= bits & top ? (KEY)-1 : top;
  else if (IS_SIGNED)
    bits ^= top;
  return DESCENDING ? (KEY)~bits : bits;
}

static void insertion(KEY *keys, int64_t *out, int64_t size, int64_t after) {
  for (int64_t i = 0, j; i < size; ++i) {
    const KEY own = keys[i];
    for (j = i; j > 0 && keys[j - 1] > own; --j) {
      keys[j] = keys[j - 1];
      out[j * after] = out[(j - 1) * after];
    }
    keys[j] = own;
    out[j * after] = i;
  }
}

/* By the last digit first, stably (Knuth 1998, The Art of Computer Programming 3, section 5.2.5, algorithm R). */
static void radix(const KEY *keys, int64_t *out, int64_t size, int64_t after, int64_t *spare) {
  int64_t places[sizeof(KEY)][DIGITS] = {0}, passes = 0;
  for (int64_t i = 0; i < size; ++i)
    for (uint64_t d = 0; d < sizeof(KEY); ++d) ++places[d][DIGIT(keys[i], d)];
  for (uint64_t d = 0; d < sizeof(KEY); ++d) passes += places[d][DIGIT(keys[0], d)] < size;
  if (!passes)
    for (int64_t i = 0; i < size; ++i) out[i * after] = i;
  const int64_t *from = NULL;
  int64_t step = 0;
  for (uint64_t d = 0; d < sizeof(KEY); ++d) {
    if (places[d][DIGIT(keys[0], d)] == size) continue; /* a digit that all share */
    for (int64_t k = 0, total = 0; k < DIGITS; ++k) {
      const int64_t count = places[d][k];
      places[d][k] = total;
      total += count;
    }
    int64_t *const to = passes % 2 ? out : spare, to_step = passes % 2 ? after : 1;
    for (int64_t i = 0; i < size; ++i) {
      const int64_t index = from ? from[i * step] : i;
      to[places[d][DIGIT(keys[index], d)]++ * to_step] = index;
    }
    from = to, step = to_step, --passes;
  }
}

int64_t argsort(char **p, const int64_t *n, int64_t start, int64_t stop) {
  const int64_t size = n[0], after = n[1], end = LEAST(stop * n[3], n[2]);
  KEY *const keys = (KEY *)p[2] + start * size;
  int64_t *const spare = (int64_t *)p[3] + start * size;
  for (int64_t line = start * n[3]; line < end; ++line) {
    const int64_t begin = line / after * size * after + line % after;
    const NUMBER *const x = (const NUMBER *)p[0] + begin;
    int64_t *const out = (int64_t *)p[1] + begin;
    for (int64_t i = 0; i < size; ++i) keys[i] = key(x[i * after]);
    if (size > SHORT)
      radix(keys, out, size, after, spare);
    else
      insertion(keys, out, size, after);
  }
  return 0;
}
