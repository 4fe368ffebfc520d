// The one SIMD wrapper: a vector of floats as wide as the instruction set that the file is compiled for.
//
// Everything is always inlined and local to its translation unit: kernel objects must not hold weak symbols.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define CNNFAST_INLINE static inline __attribute__((always_inline))
#define CNNFAST_INLINE_LAMBDA __attribute__((always_inline))
#define CNNFAST_UNROLL _Pragma("GCC unroll 32")

namespace cnnfast::CNNFAST_ISA {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kAccumulators = 28;  // of 32 registers
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
constexpr int kAccumulators = 12;  // of 16
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16;
constexpr int kAccumulators = 24;  // of 32
#else
constexpr int kVectorBytes = 16;
constexpr int kAccumulators = 12;  // of 16 on x86-64
#endif
constexpr int kLanes = kVectorBytes / 4;

typedef float Vec __attribute__((vector_size(kVectorBytes)));
typedef int32_t IntVec __attribute__((vector_size(kVectorBytes)));
typedef uint32_t UintVec __attribute__((vector_size(kVectorBytes)));
typedef uint8_t ByteVec __attribute__((vector_size(kLanes)));

typedef float UnalignedVec __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
typedef int32_t UnalignedIntVec __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
typedef uint8_t UnalignedByteVec __attribute__((vector_size(kLanes), aligned(1), may_alias));

CNNFAST_INLINE Vec zero() { return Vec{}; }
CNNFAST_INLINE Vec broadcast(float value) { return value - Vec{}; }
CNNFAST_INLINE IntVec broadcast_int(int32_t value) { return value - IntVec{}; }
CNNFAST_INLINE UintVec broadcast_uint(uint32_t value) { return value - UintVec{}; }

CNNFAST_INLINE Vec load(const float* p) { return *reinterpret_cast<const UnalignedVec*>(p); }
CNNFAST_INLINE void store(float* p, Vec v) { *reinterpret_cast<UnalignedVec*>(p) = v; }
CNNFAST_INLINE IntVec load_int(const int32_t* p) { return *reinterpret_cast<const UnalignedIntVec*>(p); }
CNNFAST_INLINE void store_int(int32_t* p, IntVec v) { *reinterpret_cast<UnalignedIntVec*>(p) = v; }

// Keeps a loaded value in its register: the compiler would rather load it again for each of its uses.
CNNFAST_INLINE Vec in_register(Vec v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__SSE2__)
  asm("" : "+x"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
  return v;
}

// The same pointer, of which the compiler knows nothing: it keeps no values from one turn of a loop to the next because
// they would be read again.
CNNFAST_INLINE const float* unknown(const float* p) {
#if defined(__GNUC__)
  asm("" : "+r"(p));
#endif
  return p;
}

// a * b + c, fused into one rounding where the instruction set can.
CNNFAST_INLINE Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (Vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

CNNFAST_INLINE Vec sqrt(Vec a) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_sqrt_ps(0xffff, (__m512)a);  // without a mask GCC 12 warns of its own header
#elif defined(__AVX2__)
  return (Vec)_mm256_sqrt_ps((__m256)a);
#elif defined(__SSE2__)
  return (Vec)_mm_sqrt_ps((__m128)a);
#elif defined(__aarch64__)
  return (Vec)vsqrtq_f32((float32x4_t)a);
#else
  Vec v = a;
  for (int i = 0; i < kLanes; ++i) v[i] = __builtin_sqrtf(a[i]);
  return v;
#endif
}

// Vectors of half as many numbers of 64 bits.
typedef uint64_t LongVec __attribute__((vector_size(kVectorBytes)));

CNNFAST_INLINE LongVec broadcast_long(uint64_t value) { return value - LongVec{}; }

// The 64-bit products of the lower halves of a with b.
CNNFAST_INLINE LongVec multiply_lower(LongVec a, uint32_t b) {
#if defined(__AVX512F__)
  // The form without a mask makes GCC 12 warn of its own header.
  return (LongVec)_mm512_maskz_mul_epu32(0xff, (__m512i)a, _mm512_set1_epi32(static_cast<int32_t>(b)));
#elif defined(__AVX2__)
  return (LongVec)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi32(static_cast<int32_t>(b)));
#elif defined(__SSE2__)
  return (LongVec)_mm_mul_epu32((__m128i)a, _mm_set1_epi32(static_cast<int32_t>(b)));
#elif defined(__aarch64__)
  return (LongVec)vmull_n_u32(vmovn_u64((uint64x2_t)a), b);
#else
  return (a & 0xffffffffu) * uint64_t{b};
#endif
}

// The lower halves of both, one of each in turn.
CNNFAST_INLINE UintVec interleave_lower(LongVec even, LongVec odd) {
#if defined(__AVX512F__)
  return (UintVec)_mm512_mask_shuffle_epi32((__m512i)even, 0xaaaa, (__m512i)odd, _MM_PERM_CCAA);
#elif defined(__AVX2__)
  return (UintVec)_mm256_blend_epi32((__m256i)even, _mm256_slli_epi64((__m256i)odd, 32), 0xaa);
#elif defined(__aarch64__)
  return (UintVec)vtrn1q_u32((uint32x4_t)even, (uint32x4_t)odd);
#else
  return (UintVec)((even & 0xffffffffu) | (odd << 32));
#endif
}

CNNFAST_INLINE Vec select(IntVec mask, Vec yes, Vec no) { return mask ? yes : no; }
CNNFAST_INLINE IntVec select_int(IntVec mask, IntVec yes, IntVec no) { return mask ? yes : no; }
// As IEEE comparisons say: where either operand is NaN, max and min give b.
CNNFAST_INLINE Vec max(Vec a, Vec b) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b);  // without a mask GCC 12 warns of its own header
#elif defined(__AVX2__)
  return (Vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  return (Vec)_mm_max_ps((__m128)a, (__m128)b);
#else
  return a > b ? a : b;
#endif
}
CNNFAST_INLINE Vec min(Vec a, Vec b) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (Vec)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  return (Vec)_mm_min_ps((__m128)a, (__m128)b);
#else
  return a < b ? a : b;
#endif
}
CNNFAST_INLINE Vec abs(Vec a) { return (Vec)((IntVec)a & broadcast_int(0x7fffffff)); }
CNNFAST_INLINE Vec copysign(Vec magnitude, Vec sign) {
  const IntVec sign_bit = broadcast_int(INT32_MIN);
  return (Vec)(((IntVec)magnitude & ~sign_bit) | ((IntVec)sign & sign_bit));
}
CNNFAST_INLINE IntVec is_nan(Vec a) { return a != a; }
// Whether a mask has a lane that is set.
CNNFAST_INLINE bool any(IntVec mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps((__m256)mask) != 0;
#elif defined(__SSE2__)
  return _mm_movemask_ps((__m128)mask) != 0;
#elif defined(__aarch64__)
  return vmaxvq_u32((uint32x4_t)mask) != 0;
#else
  return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
#endif
}

CNNFAST_INLINE IntVec lane_index() {
  IntVec v;
  CNNFAST_UNROLL for (int i = 0; i < kLanes; ++i) v[i] = i;
  return v;
}

// In lane i, lane places[i] of a and b side by side: 0 <= places[i] < 2 * kLanes.
CNNFAST_INLINE Vec pick(Vec a, Vec b, IntVec places) {
#if defined(__AVX512F__)
  return (Vec)_mm512_permutex2var_ps((__m512)a, (__m512i)places, (__m512)b);
#elif defined(__AVX2__)
  const Vec from_a = (Vec)_mm256_permutevar8x32_ps((__m256)a, (__m256i)places);
  const Vec from_b = (Vec)_mm256_permutevar8x32_ps((__m256)b, (__m256i)places);
  return select(places < kLanes, from_a, from_b);
#else
  float both[2 * kLanes];
  store(both, a);
  store(both + kLanes, b);
  const Vec v = {both[places[0]], both[places[1]], both[places[2]], both[places[3]]};
  return v;
#endif
}

// The first `count` lanes (0 <= count <= kLanes); memory past them is not touched, lanes past them are zero.
CNNFAST_INLINE Vec load_partial(const float* p, int count) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p);
#elif defined(__AVX2__)
  return (Vec)_mm256_maskload_ps(p, (__m256i)(lane_index() < broadcast_int(count)));
#else
  // Lanes by number: a lane picked by a variable goes through memory, and stalls there.
  const Vec v = {count > 0 ? p[0] : 0, count > 1 ? p[1] : 0, count > 2 ? p[2] : 0, count > 3 ? p[3] : 0};
  return v;
#endif
}

CNNFAST_INLINE void store_partial(float* p, Vec v, int count) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), (__m512)v);
#elif defined(__AVX2__)
  _mm256_maskstore_ps(p, (__m256i)(lane_index() < broadcast_int(count)), (__m256)v);
#else
  if (count > 0) p[0] = v[0];
  if (count > 1) p[1] = v[1];
  if (count > 2) p[2] = v[2];
  if (count > 3) p[3] = v[3];
#endif
}

// Bytes as integers and back, for values (0 to 255) kept in a byte each.
CNNFAST_INLINE IntVec load_bytes(const uint8_t* p, int count) {
#if defined(__AVX512F__)
  return (IntVec)_mm512_maskz_cvtepu8_epi32(0xffff, _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << count) - 1), p));
#else
  ByteVec v{};
  if (count == kLanes) {
    v = *reinterpret_cast<const UnalignedByteVec*>(p);
  } else {
    for (int i = 0; i < count; ++i) v[i] = p[i];
  }
#if defined(__SSE2__)
  // A conversion of vectors would take lane after lane through general registers.
#if defined(__AVX2__)
  return (IntVec)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)v));
#else
  const __m128i bytes = _mm_cvtsi32_si128((int32_t)v), zeros = _mm_setzero_si128();
  return (IntVec)_mm_unpacklo_epi16(_mm_unpacklo_epi8(bytes, zeros), zeros);
#endif
#else
  return __builtin_convertvector(v, IntVec);
#endif
#endif
}

CNNFAST_INLINE void store_bytes(uint8_t* p, IntVec values, int count) {
#if defined(__AVX512F__)
  _mm512_mask_cvtepi32_storeu_epi8(p, static_cast<__mmask16>((1u << count) - 1), (__m512i)values);
#else
  ByteVec v;
#if defined(__SSE2__)
#if defined(__AVX2__)
  const __m128i words =
      _mm_packs_epi32(_mm256_castsi256_si128((__m256i)values), _mm256_extracti128_si256((__m256i)values, 1));
#else
  const __m128i words = _mm_packs_epi32((__m128i)values, (__m128i)values);
#endif
  const __m128i bytes = _mm_packus_epi16(words, words);
  std::memcpy(&v, &bytes, sizeof v);
#else
  v = __builtin_convertvector(values, ByteVec);
#endif
  if (count == kLanes) {
    *reinterpret_cast<UnalignedByteVec*>(p) = v;
  } else {
    for (int i = 0; i < count; ++i) p[i] = v[i];
  }
#endif
}

// v[places[i]] in lane i, for 0 <= places[i] < kLanes; any other place gives some lane.
CNNFAST_INLINE Vec permute(Vec v, IntVec places) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_permutexvar_ps(0xffff, (__m512i)places, (__m512)v);
#elif defined(__AVX2__)
  return (Vec)_mm256_permutevar8x32_ps((__m256)v, (__m256i)places);
#elif defined(__aarch64__)
  const UintVec bytes = (UintVec)(places & (kLanes - 1)) * 0x04040404u + 0x03020100u;
  return (Vec)vqtbl1q_u8((uint8x16_t)v, (uint8x16_t)bytes);
#else
  float lane[kLanes];
  store(lane, v);
  const IntVec inside = places & (kLanes - 1);
  const Vec permuted = {lane[inside[0]], lane[inside[1]], lane[inside[2]], lane[inside[3]]};
  return permuted;
#endif
}

// Lanes added as a balanced tree, the upper half to the lower one: the same order on every call.
CNNFAST_INLINE float sum(Vec v) {
#if defined(__AVX512F__)
  // Forms without a mask make GCC 12 warn of its own header.
  const __m256 eight =
      _mm512_maskz_extractf32x8_ps(0xff, (__m512)v, 0) + _mm512_maskz_extractf32x8_ps(0xff, (__m512)v, 1);
  const __m128 four = _mm256_castps256_ps128(eight) + _mm256_extractf128_ps(eight, 1);
#elif defined(__AVX2__)
  const __m128 four = _mm256_castps256_ps128((__m256)v) + _mm256_extractf128_ps((__m256)v, 1);
#elif defined(__SSE2__)
  const __m128 four = (__m128)v;
#elif defined(__aarch64__)
  const float32x2_t pair = vadd_f32(vget_low_f32((float32x4_t)v), vget_high_f32((float32x4_t)v));
  return vget_lane_f32(pair, 0) + vget_lane_f32(pair, 1);
#else
  return (v[0] + v[2]) + (v[1] + v[3]);
#endif
#if defined(__SSE2__)
  const __m128 two = four + _mm_movehl_ps(four, four);
  return _mm_cvtss_f32(two + _mm_shuffle_ps(two, two, 1));
#endif
}

// The largest lane; NaN if any lane is NaN.
CNNFAST_INLINE float max_lane(Vec v) {
  float best = v[0];
  CNNFAST_UNROLL for (int i = 1; i < kLanes; ++i) {
    if (v[i] > best || v[i] != v[i]) best = v[i];
  }
  return best;
}

// Calls body(offset, lanes) over [0, count): whole vectors first, then one partial one.
template <typename Body>
CNNFAST_INLINE void for_each_vector(int64_t count, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, kLanes);
  if (i < count) body(i, static_cast<int>(count - i));
}

CNNFAST_INLINE Vec load_lanes(const float* p, int lanes) { return lanes == kLanes ? load(p) : load_partial(p, lanes); }
CNNFAST_INLINE void store_lanes(float* p, Vec v, int lanes) {
  if (lanes == kLanes) {
    store(p, v);
  } else {
    store_partial(p, v, lanes);
  }
}

// base[offsets[i]] in lane i; lanes past `lanes` are zero.
CNNFAST_INLINE Vec gather(const float* base, const int32_t* offsets, int lanes) {
#if defined(__AVX512F__)
  const __mmask16 mask = static_cast<__mmask16>((1u << lanes) - 1);
  return (Vec)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), mask, _mm512_maskz_loadu_epi32(mask, offsets), base, 4);
#elif defined(__AVX2__)
  const __m256i mask = (__m256i)(lane_index() < broadcast_int(lanes));
  return (Vec)_mm256_mask_i32gather_ps(_mm256_setzero_ps(), base, _mm256_maskload_epi32(offsets, mask), (__m256)mask,
                                       4);
#else
  const Vec v = {lanes > 0 ? base[offsets[0]] : 0, lanes > 1 ? base[offsets[1]] : 0, lanes > 2 ? base[offsets[2]] : 0,
                 lanes > 3 ? base[offsets[3]] : 0};
  return v;
#endif
}

}  // namespace cnnfast::CNNFAST_ISA
