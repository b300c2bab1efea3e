#include <stdint.h>
#include <string.h>

/* The C library's functions of numbers; GCC calls glibc's vector versions of them. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define VECTOR __attribute__((simd("notinbranch"), const, nothrow, leaf))
#else
#define VECTOR
#endif
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
#define NEWER_VECTOR VECTOR
#else
#define NEWER_VECTOR
#endif
VECTOR double exp(double), log(double), sin(double), cos(double), pow(double, double);
VECTOR float expf(float), logf(float), sinf(float), cosf(float), powf(float, float);
NEWER_VECTOR double tanh(double), expm1(double), log1p(double);
NEWER_VECTOR float tanhf(float), expm1f(float), log1pf(float);
double sqrt(double), fabs(double), floor(double);
float sqrtf(float), fabsf(float), floorf(float);
