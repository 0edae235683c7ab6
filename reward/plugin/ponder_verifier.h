/* The C interface of a verifier in a shared library. docs/verifiers.md shows
 * how to build and name one; examples/verifiers/c is one.
 *
 * Ponder loads the library into processes of its own, one call at a time in
 * each, so a verifier needs no locks and a crash of it is not Ponder's. A call
 * that takes longer than the configured timeout is ended with its process.
 */

#ifndef PONDER_REWARD_PLUGIN_PONDER_VERIFIER_H_
#define PONDER_REWARD_PLUGIN_PONDER_VERIFIER_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows with every change of this file that a library would notice. */
#define PONDER_VERIFIER_VERSION 1

/* UTF-8. `bytes[size]` is 0; a 0 may also stand in the text. */
typedef struct PonderText {
  const char* bytes;
  size_t size;
} PonderText;

/* A response and the problem that it answers. Valid during the call only. */
typedef struct PonderSample {
  PonderText prompt;   /* As rendered for the policy. */
  PonderText messages; /* JSON list of {"role", "content"}; [] for a text. */
  PonderText answer;   /* Gold answer; may be empty. */
  PonderText row;      /* The data row's columns as a JSON object. */
  PonderText response; /* Without special tokens at its end. */
  const int32_t* response_ids; /* Its tokens, special ones included. */
  size_t num_response_ids;
  int truncated;      /* 1: it ended at the token limit. */
  int thought_opened; /* 1: the prompt already opened <think>. */
} PonderSample;

typedef struct PonderScore {
  /* NaN when the call begins. What is not finite when it ends is unscorable:
   * left out of the reward, never counted as 0. */
  double score;
  /* Optional: why, for a person. UTF-8, ends with 0. Empty when the call
   * begins. */
  char reason[256];
} PonderScore;

/* A library defines both functions, for instance
 *
 *   int32_t ponder_verifier_version(void) { return PONDER_VERIFIER_VERSION; }
 */
int32_t ponder_verifier_version(void);

/* Fills in scores[0] to scores[num_samples - 1]. Returns 0; anything else
 * makes all samples of the call unscorable. */
int ponder_verifier_score(const PonderSample* samples, size_t num_samples,
                          PonderScore* scores);

#ifdef __cplusplus
}
#endif

#endif /* PONDER_REWARD_PLUGIN_PONDER_VERIFIER_H_ */
