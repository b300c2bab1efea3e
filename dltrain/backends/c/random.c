/* Random numbers from Philox's bits, the same as NumPy's. The numbers n of all begin with seed and stream; a task fills
   what its own words decide on. */

#include <stdint.h>
#include <string.h>

#include "philox.h"

enum { BLOCKS = TASK_WORDS / WORDS, TASK_DRAWS = TASK_WORDS * DRAWS_OF_A_WORD };

/* The mask of dropout. p: step, out; n: seed, stream, the bits of the rate, elements. Word 0 of all rounds the
   threshold, each of the others decides on four elements. */
int64_t dropout(char **p, const int64_t *n, int64_t start, int64_t stop) {
  const uint64_t step = *(const uint64_t *)p[0], seed = n[0], stream = n[1];
  REAL *const out = (REAL *)p[1];
  double rate;
  memcpy(&rate, &n[2], sizeof rate);
  const int64_t size = n[3];
  union {
    uint64_t words[BLOCKS][WORDS];
    uint16_t draws[TASK_DRAWS];
  } bits;
  philox(0, step, seed, stream, bits.words[0]);
  const int32_t threshold = (1 - rate) * 65536.0 + (double)bits.words[0][0] / 18446744073709551616.0;
  const REAL kept = 1 / (1 - rate);
  for (int64_t task = start; task < stop; ++task) {
    for (int64_t b = 0; b < BLOCKS; ++b) philox(task * BLOCKS + b, step, seed, stream, bits.words[b]);
    const int64_t place = task * TASK_DRAWS - DRAWS_OF_A_WORD; /* of the task's first draw */
    const int64_t from = place < 0 ? DRAWS_OF_A_WORD : 0, to = size - place < TASK_DRAWS ? size - place : TASK_DRAWS;
    for (int64_t i = from; i < to; ++i) out[place + i] = bits.draws[i] < threshold ? kept : 0;
  }
  return 0;
}

/* Uniform numbers. p: step, out; n: seed, stream, the bits of how wide they lie, of the least, and of what none exceeds;
   elements. Each has a word, or half of one, of which it takes as many bits as it can hold. */
int64_t uniform(char **p, const int64_t *n, int64_t start, int64_t stop) {
  enum { OF_A_WORD = sizeof(uint64_t) / sizeof(REAL), COUNT = TASK_WORDS * OF_A_WORD };
  const uint64_t step = *(const uint64_t *)p[0], seed = n[0], stream = n[1];
  double range[3];
  memcpy(range, &n[2], sizeof range);
  const REAL width = range[0], least = range[1], greatest = range[2];
  const int64_t size = n[5];
  union {
    uint64_t words[BLOCKS][WORDS];
    uint64_t whole[TASK_WORDS];
    uint32_t halves[2 * TASK_WORDS];
  } bits;
  for (int64_t task = start; task < stop; ++task) {
    for (int64_t b = 0; b < BLOCKS; ++b) philox(task * BLOCKS + b, step, seed, stream, bits.words[b]);
    REAL *const out = (REAL *)p[1] + task * COUNT;
    const int64_t count = size - task * COUNT < COUNT ? size - task * COUNT : COUNT;
    for (int64_t i = 0; i < count; ++i)
      out[i] = (OF_A_WORD == 1 ? (REAL)(bits.whole[i] >> 11) * (REAL)0x1p-53
                               : (REAL)(bits.halves[i] >> 8) * (REAL)0x1p-24) * width;
    for (int64_t i = 0; i < count; ++i) { /* a loop of its own: fused with the product it would be rounded once */
      const REAL number = out[i] + least;
      out[i] = number > greatest ? greatest : number;
    }
  }
  return 0;
}
