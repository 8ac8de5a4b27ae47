// Takes the compiler a while, for a test that kills it. (Unsigned, so that no sum overflows: that would be an error before it is killed.)
template <int A, int B> struct Sum {
    static constexpr unsigned long long value = Sum<A - 1, B>::value + Sum<A - 1, B + 1>::value + A * B;
};
template <int B> struct Sum<0, B> { static constexpr unsigned long long value = B; };
template <int N> struct All { static constexpr unsigned long long value = Sum<450, N * 1000>::value + All<N - 1>::value; };
template <> struct All<0> { static constexpr unsigned long long value = 0; };
unsigned long long heavy() { return All<40>::value; }
