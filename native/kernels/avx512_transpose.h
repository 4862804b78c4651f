// Included inside the anonymous namespace of AVX-512 files, after kernels/avx512_intrinsics.h.

// Columns of a 16 x 16 block become registers of 16 rows.
inline void transpose_block(__m512 (&rows)[16]) {
  __m512 t[16];
#pragma GCC unroll 4
  for (int g = 0; g < 16; g += 4) {
    const __m512 low01 = _mm512_unpacklo_ps(rows[g], rows[g + 1]);
    const __m512 high01 = _mm512_unpackhi_ps(rows[g], rows[g + 1]);
    const __m512 low23 = _mm512_unpacklo_ps(rows[g + 2], rows[g + 3]);
    const __m512 high23 = _mm512_unpackhi_ps(rows[g + 2], rows[g + 3]);
    t[g] = _mm512_shuffle_ps(low01, low23, 0x44);
    t[g + 1] = _mm512_shuffle_ps(low01, low23, 0xEE);
    t[g + 2] = _mm512_shuffle_ps(high01, high23, 0x44);
    t[g + 3] = _mm512_shuffle_ps(high01, high23, 0xEE);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512 even01 = _mm512_shuffle_f32x4(t[c], t[4 + c], 0x88);
    const __m512 odd01 = _mm512_shuffle_f32x4(t[c], t[4 + c], 0xDD);
    const __m512 even23 = _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0x88);
    const __m512 odd23 = _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0xDD);
    rows[c] = _mm512_shuffle_f32x4(even01, even23, 0x88);
    rows[8 + c] = _mm512_shuffle_f32x4(even01, even23, 0xDD);
    rows[4 + c] = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
    rows[12 + c] = _mm512_shuffle_f32x4(odd01, odd23, 0xDD);
  }
}
