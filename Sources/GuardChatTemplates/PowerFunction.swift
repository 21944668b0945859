private import Glibc

/// C's `pow`.
func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
