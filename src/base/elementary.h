#ifndef SRC_BASE_ELEMENTARY_H
#define SRC_BASE_ELEMENTARY_H

/// Elementary functions in double that give the same bits on every machine: the C library's differ between versions,
/// and so would a run's numbers. Additions, products, divisions and comparisons only, which IEEE 754 fixes to the last
/// bit, provided that a compiler neither fuses nor reorders them (elementary.c refuses what it can see). The bounds are
/// measured against long double by tests/test_elementary.c; u is 2^-53.
/// (sqrt, floor and fabs are exact in every library and need nothing here. Functions of fp32: src/ops/math_inline.h.)

/// e^x within 1 ulp where the result is a normal number (within 2^-1074 where it is subnormal): 0 below -745.14,
/// infinity above 709.79, NaN of a NaN.
double gr_exp(double x);
/// Natural logarithm within 1 ulp, subnormal x included: -infinity of 0, NaN of x < 0.
double gr_log(double x);
/// x^y = e^(y log x) for x >= 0, within a share of (2 + 3 |y log x|) u of its value; 1 for y = 0, and 0^y = 0 for y > 0.
double gr_pow(double x, double y);
/// cos(pi t) within 2 ulp for |t| < 2^51: the turns are taken off exactly, so it is exact at multiples of 1/2.
double gr_cospi(double t);

#endif
