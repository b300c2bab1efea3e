#include <stdint.h>
#include <string.h>

/* The C library's functions of numbers; GCC calls glibc's vector versions of them. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__GLIBC__)
#define VECTOR __attribute__((simd("notinbranch"), const, nothrow, leaf))
#else
#define VECTOR
#endif
VECTOR double exp(double); VECTOR float expf(float);
VECTOR double log(double); VECTOR float logf(float);
VECTOR double sin(double); VECTOR float sinf(float);
VECTOR double cos(double); VECTOR float cosf(float);
VECTOR double pow(double, double); VECTOR float powf(float, float);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
VECTOR double tanh(double); VECTOR float tanhf(float);
VECTOR double expm1(double); VECTOR float expm1f(float);
VECTOR double log1p(double); VECTOR float log1pf(float);
#else
double tanh(double); float tanhf(float);
double expm1(double); float expm1f(float);
double log1p(double); float log1pf(float);
#endif
double sqrt(double); float sqrtf(float);
double fabs(double); float fabsf(float);
double floor(double); float floorf(float);
