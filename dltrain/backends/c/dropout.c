/* The mask of dropout from random bits, the same as NumPy's: Philox4x64-10 (Salmon et al. 2011, "Parallel random
   numbers: as easy as 1, 2, 3", section 3.3), whose block b has the counter b + 1. */

#include <stdint.h>
#include <string.h>

enum { ROUNDS = 10, WORDS = 4, BLOCKS = TASK_DRAWS / (WORDS * DRAWS_OF_A_WORD) };

static inline void philox(uint64_t block, uint64_t step, uint64_t seed, uint64_t stream, uint64_t words[WORDS]) {
  uint64_t c0 = block + 1, c1 = 0, c2 = 0, c3 = step;
  for (int i = 0; i < ROUNDS; ++i) {
    const unsigned __int128 one = (unsigned __int128)UINT64_C(0xD2E7470EE14C6C93) * c0,
                            other = (unsigned __int128)UINT64_C(0xCA5A826395121157) * c2;
    c0 = (uint64_t)(other >> 64) ^ c1 ^ seed;
    c2 = (uint64_t)(one >> 64) ^ c3 ^ stream;
    c1 = (uint64_t)other;
    c3 = (uint64_t)one;
    seed += UINT64_C(0x9E3779B97F4A7C15);
    stream += UINT64_C(0xBB67AE8584CAA73B);
  }
  words[0] = c0, words[1] = c1, words[2] = c2, words[3] = c3;
}

/* p: step, out; n: seed, stream, the bits of the rate, elements. Word 0 of all rounds the threshold, each of the
   others decides on four elements. A task does what BLOCKS blocks decide on. */
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
