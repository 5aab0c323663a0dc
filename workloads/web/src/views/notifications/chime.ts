/** Loudness of the sound, of 1. */
const VOLUME = 0.06;

let context: AudioContext | undefined;

/** Two soft tones, made here: no file, no request. Silent where the browser wants a press first. */
export function chime(): void {
  if (!('AudioContext' in window)) return;
  context ??= new AudioContext();
  if (context.state !== 'running') return;
  for (const [index, frequency] of [660, 880].entries()) {
    const at = context.currentTime + index * 0.11;
    const tone = context.createOscillator();
    const gain = context.createGain();
    tone.frequency.value = frequency;
    gain.gain.setValueAtTime(VOLUME, at);
    gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.25);
    tone.connect(gain).connect(context.destination);
    tone.start(at);
    tone.stop(at + 0.26);
  }
}
