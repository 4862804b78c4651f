// bfloat16 for rounded_pack_body.h, with the integer operations that every AVX-512 CPU has: round to nearest,
// ties to even. Values below the normal range become 0, as the product instructions would take them.
struct Format {
  static __m256i round(__m512 values) {
    const __m512i bits = _mm512_castps_si512(values);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 normal = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x7f800000));
    return _mm512_cvtepi32_epi16(_mm512_maskz_srli_epi32(normal, rounded, 16));
  }
  static __m512 value(__m256i rounded) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded), 16));
  }
};
