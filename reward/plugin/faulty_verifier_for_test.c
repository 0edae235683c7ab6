/* Does what the first response says. Built several times: without one of the
 * two functions, and as if for another version of the interface. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reward/plugin/ponder_verifier.h"

#ifndef VERSION
#define VERSION PONDER_VERIFIER_VERSION
#endif

#ifndef WITHOUT_VERSION
int32_t ponder_verifier_version(void) { return VERSION; }
#endif

#ifndef WITHOUT_SCORE
static int Says(const PonderSample* sample, const char* what) {
  return strcmp(sample->response.bytes, what) == 0;
}

int ponder_verifier_score(const PonderSample* samples, size_t num_samples,
                          PonderScore* scores) {
  const PonderSample* first = &samples[0];
  printf("{\"id\": 0, \"score\": 0}\n"); /* No answer, but a line of the log. */
  if (Says(first, "abort")) abort();
  if (Says(first, "exit")) _exit(0);
  while (Says(first, "hang")) pause();
  if (Says(first, "nothing")) return 0;
  for (size_t i = 0; i < num_samples; ++i) {
    scores[i].score = 1;
    if (Says(first, "infinite")) scores[i].score = INFINITY;
    /* Begins with a 0. */
    if (Says(first, "")) scores[i].score = (double)samples[i].response.size;
    if (Says(first, "long")) {
      memset(scores[i].reason, 'r', sizeof(scores[i].reason));
    }
  }
  return Says(first, "refuse") ? 5 : 0;
}
#endif
