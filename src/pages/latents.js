// Latents that are made here rather than drawn by the server.

/** Standard normal numbers, the same for the same seed. */
export function normals(seed, count) {
  let state = Math.imul(seed + 1, 0x9e3779b1);
  const uniform = () => {  // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}

/** z + x u + y v, brought back to where latents of its distribution lie. */
export function moved(z, x, y, u, v, distribution) {
  const normal = distribution === "normal", length = Math.sqrt(1 + x * x + y * y);
  return z.map((value, i) => {
    const by = x * u[i] + y * v[i], at = normal ? (value + by) / length : Math.max(-1, Math.min(1, value + by / 2));
    return Math.round(1e4 * at) / 1e4;
  });
}

/** A latent near z, another one for each seed; strength 0 is z. */
export const varied = (z, strength, seed, distribution) => moved(z, strength, 0, normals(seed, z.length), z, distribution);

/** `count` latents near z, which is the first. */
export const variations = (z, strength, seed, count, distribution) =>
  Array.from({ length: count }, (_, i) => (i ? varied(z, strength, seed + i, distribution) : z));
