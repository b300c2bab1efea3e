/* Random bits, the same as NumPy's: Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3",
   section 3.3), whose block b has the counter b + 1. */

enum { ROUNDS = 10, WORDS = 4 };

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
