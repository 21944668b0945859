import GuardCore
import GuardJSON
import GuardPolicy

/// The outcome of `guardctl tokenizer verify`.
struct VerifyReport: Sendable {
    struct Skipped: Sendable {
        var name: String
        var why: String
    }

    var tokenizer: String
    var url: String
    var api: String
    var model: String
    var counting: String
    /// Where the server's figures come from: `/tokenize`, `usage`, `prompt_eval_count`.
    var evidence: String
    var compared = 0
    var differences: [(observation: Observation, difference: Difference)] = []
    var skipped: [Skipped] = []

    init(
        tokenizer: String, server: TokenizeServer, counting: OwnCounting, observations: [Observation],
        skipped: [Skipped]
    ) {
        self.tokenizer = tokenizer
        url = server.url.text
        api = server.api.rawValue
        model = server.model
        self.counting = counting.counting.rawValue
        evidence = server.evidence
        compared = observations.count
        self.skipped = skipped
        let diagnosis = Diagnosis(observations, counting)
        differences = observations.compactMap { observation in
            diagnosis.difference(observation).map { (observation, $0) }
        }
    }

    private func count(_ cause: Difference.Cause) -> Int { differences.count { $0.difference.cause == cause } }

    var json: [UInt8] {
        var writer = JSONWriter()
        writer.object {
            $0.member("tokenizer", tokenizer)
            $0.member("url", url)
            $0.member("api", api)
            $0.member("model", model)
            $0.member("counting", counting)
            $0.member("evidence", evidence)
            $0.member("compared", compared)
            $0.member("equal", compared - differences.count)
            $0.key("causes")
            $0.object { for cause in Difference.Cause.allCases { $0.member(cause.rawValue, count(cause)) } }
            $0.key("differences")
            $0.array {
                for (observation, difference) in differences {
                    $0.object {
                        $0.member("case", observation.testCase.name)
                        $0.member("kind", observation.testCase.isText ? "text" : "chat")
                        $0.member("cause", difference.cause.rawValue)
                        $0.member("why", difference.why)
                        $0.key("ours")
                        observation.ours.refusal == nil ? $0.integer(observation.ours.count) : $0.null()
                        $0.key("server")
                        observation.theirs.refusal == nil ? $0.integer(observation.theirs.count) : $0.null()
                        if let place = difference.place { $0.member("place", place) }
                    }
                }
            }
            $0.key("skipped")
            $0.array {
                for skip in skipped {
                    $0.object {
                        $0.member("case", skip.name)
                        $0.member("why", skip.why)
                    }
                }
            }
        }
        return writer.bytes
    }

    var text: String {
        var lines = [
            "\(tokenizer) against \(url) (\(api), model \(model)), counting \(counting), by \(evidence)",
            "\(compared) compared, \(compared - differences.count) equal, \(differences.count) different"
                + (skipped.isEmpty ? "" : ", \(skipped.count) skipped"),
        ]
        for cause in Difference.Cause.allCases where count(cause) > 0 {
            lines.append("\(cause.rawValue): \(count(cause))")
            for (observation, difference) in differences where difference.cause == cause {
                func figure(_ prompt: CountedPrompt) -> String { prompt.refusal == nil ? "\(prompt.count)" : "none" }
                lines.append(
                    "  \(observation.testCase.name): ours \(figure(observation.ours)), server \(figure(observation.theirs)): "
                        + difference.why)
            }
        }
        for skip in skipped { lines.append("skipped \(skip.name): \(skip.why)") }
        return lines.joined(separator: "\n")
    }
}
