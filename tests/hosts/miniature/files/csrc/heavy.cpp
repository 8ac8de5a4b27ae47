// Takes the compiler a while, for a test that kills it.
template <int A, int B> struct Sum {
    static constexpr long long value = Sum<A - 1, B>::value + Sum<A - 1, B + 1>::value + A * B;
};
template <int B> struct Sum<0, B> { static constexpr long long value = B; };
template <int N> struct All { static constexpr long long value = Sum<450, N * 1000>::value + All<N - 1>::value; };
template <> struct All<0> { static constexpr long long value = 0; };
long long heavy() { return All<40>::value; }
