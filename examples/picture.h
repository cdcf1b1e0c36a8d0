/* Writes samples as a picture of the PNM formats, which most viewers read. For C and C++. */
#include <stdint.h>
#include <stdio.h>

/* Writes images [count, channels, height, width], whose values are from `low` to `high`, below each other: grey (.pgm)
   or, from three channels, in colour (.ppm). Returns whether that could be done. */
static int write_picture(const char* path, const float* samples, int64_t count, const int64_t* shape, double low,
                         double high) {
  const int64_t colours = shape[0] < 3 ? 1 : 3, pixels = shape[1] * shape[2];
  FILE* file = fopen(path, "wb");
  if (!file) return 0;
  fprintf(file, "P%d\n%d %d\n255\n", colours == 3 ? 6 : 5, (int)shape[2], (int)(count * shape[1]));
  for (int64_t n = 0; n < count; ++n)
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < colours; ++c) {
        const double value = 255 * (samples[(n * shape[0] + c) * pixels + p] - low) / (high - low);
        putc(value <= 0 ? 0 : value >= 255 ? 255 : (int)(value + 0.5), file);
      }
  return fclose(file) == 0;
}
