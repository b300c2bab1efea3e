/* Rows of a matrix of bytes as float32, scaled: what NumPy does in three passes. Rows that are far apart come
   slowly from memory, so they are asked for some rows ahead. This is compiled together with threads.c. */

enum { AHEAD = 4, CACHE_LINE = 64, TASK_NUMBERS = 16384 };

/* p: source, rows, scale, out; n: rows, numbers in a row, rows of a task. */
static int64_t take(char **p, const int64_t *n, int64_t start, int64_t stop) {
  const uint8_t *const source = (const uint8_t *)p[0];
  const int64_t *const rows = (const int64_t *)p[1];
  const float scale = *(const float *)p[2];
  float *const out = (float *)p[3];
  const int64_t width = n[1], end = stop * n[2] < n[0] ? stop * n[2] : n[0];
  for (int64_t i = start * n[2]; i < end; ++i) {
    if (i + AHEAD < end)
      for (int64_t j = 0; j < width; j += CACHE_LINE) __builtin_prefetch(source + rows[i + AHEAD] * width + j);
    const uint8_t *const row = source + rows[i] * width;
    for (int64_t j = 0; j < width; ++j) out[i * width + j] = row[j] * scale;
  }
  return 0;
}

void take_rows(
    const uint8_t *source, const int64_t *rows, float *out, int64_t count, int64_t width, float scale, int64_t threads) {
  char *pointers[] = {(char *)source, (char *)rows, (char *)&scale, (char *)out};
  const int64_t each = TASK_NUMBERS / (width + 1) + 1;
  const int64_t numbers[] = {count, width, each};
  const call all = {take, pointers, numbers, (count + each - 1) / each};
  run(&all, 1, threads, 0);
}
