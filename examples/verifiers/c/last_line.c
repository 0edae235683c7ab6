/* A verifier as a shared library. Right is a response whose last line is the
 * gold answer.
 *
 *   cc -shared -fPIC -O2 -I . -o last_line.so examples/verifiers/c/last_line.c
 *
 * and in the configuration
 *
 *   reward {
 *     verifier { name: "last_line" library: "last_line.so" }
 *   }
 */

#include <string.h>

#include "reward/plugin/ponder_verifier.h"

static int IsSpace(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Without white space on both sides. */
static PonderText Stripped(PonderText text) {
  while (text.size > 0 && IsSpace(text.bytes[text.size - 1])) --text.size;
  while (text.size > 0 && IsSpace(text.bytes[0])) {
    ++text.bytes;
    --text.size;
  }
  return text;
}

static PonderText LastLine(PonderText text) {
  text = Stripped(text);
  size_t start = text.size;
  while (start > 0 && text.bytes[start - 1] != '\n') --start;
  PonderText line = {text.bytes + start, text.size - start};
  return Stripped(line);
}

int32_t ponder_verifier_version(void) { return PONDER_VERIFIER_VERSION; }

int ponder_verifier_score(const PonderSample* samples, size_t num_samples,
                          PonderScore* scores) {
  for (size_t i = 0; i < num_samples; ++i) {
    const PonderText line = LastLine(samples[i].response);
    const PonderText gold = samples[i].answer;
    if (gold.size == 0) {
      /* The score stays NaN: unscorable. */
      strcpy(scores[i].reason, "the row has no answer");
      continue;
    }
    scores[i].score = line.size == gold.size &&
                      memcmp(line.bytes, gold.bytes, gold.size) == 0;
  }
  return 0;
}
