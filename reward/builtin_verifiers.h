// The verifiers that come with Ponder, by name.

#ifndef PONDER_REWARD_BUILTIN_VERIFIERS_H_
#define PONDER_REWARD_BUILTIN_VERIFIERS_H_

#include <string>

#include "reward/code_verifier.h"
#include "reward/verifier.h"
#include "sandbox/sandbox.h"

namespace ponder {

// math, countdown, code: is the answer right? format, language, length,
// repetition: how is the response written? Those without a right and wrong
// call a response correct that has the best value there is.
//
// Without a sandbox (null), code is FAILED_PRECONDITION with `why_no_sandbox`.
// The sandbox is not owned and outlives the verifiers.
VerifierMap BuiltInVerifiers(Sandbox* sandbox,
                             const CodeVerifier::Options& options,
                             std::string why_no_sandbox);

// Of the names above, those that judge the answer itself. A response that hit
// the token limit has none.
bool JudgesAnswer(absl::string_view name);

}  // namespace ponder

#endif  // PONDER_REWARD_BUILTIN_VERIFIERS_H_
