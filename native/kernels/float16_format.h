// float16 for rounded_pack_body.h. Values below the normal range become 0, so that it does not matter what a
// product instruction makes of denormals.
struct Format {
  static __m256i round(__m512 values) {
    const __mmask16 normal = _mm512_cmp_ps_mask(_mm512_abs_ps(values), _mm512_set1_ps(0x1p-14f), _CMP_GE_OQ);
    return _mm512_cvtps_ph(_mm512_maskz_mov_ps(normal, values),
                           _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static __m512 value(__m256i rounded) { return _mm512_cvtph_ps(rounded); }
};
