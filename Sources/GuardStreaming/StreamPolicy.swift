package import GuardCore
import GuardJSON
import GuardLLMSchema
import GuardMatching
package import GuardRules

extension StreamPlan {
    /// The output rules of a bundle as streams run them.
    ///
    /// - Parameters:
    ///   - mode: the weakest of the global and the policy's mode; the rules' own are joined here.
    ///   - holdBytes: `limits.holdBytes`.
    package convenience init(bundle: RuleBundle, mode: Mode, holdBytes: Int = 65_536) {
        var rules: [StreamRule] = []
        for rule in bundle.rules where rule.phases.contains(.output) {
            let effective = Mode.weakest(mode, rule.mode)
            guard effective != .off else { continue }
            let effect: StreamRule.Effect =
                switch rule.action {
                case .mask where effective == .monitor: .report
                case .block where effective == .monitor: .report
                case .mask: .mask
                case .block: .block
                // In monitor mode an allowance of its own suppresses nothing; under a monitoring policy it tells what
                // enforcing would do.
                case .allow where rule.mode == .enforce: .allow
                default: .report
                }
            var mask: StreamRule.MaskText?
            if effect == .mask, let template = rule.mask {
                mask = { text, range, capture, raw, rawRange in
                    template.render(text, range: range, raw: raw, rawRange: rawRange, group: capture)
                }
            }
            var streamRule =
                StreamRule(
                    rule: rule.index, effect: effect, onHoldOverflow: rule.onHoldOverflow == .block ? .block : .release,
                    isFolded: rule.view != .raw,
                    detectors: rule.detectors.map { detector in
                        var validate: StreamRule.Detector.Validate?
                        if let validator = detector.validator {
                            validate = { text, captures, work in validator.accepts(text, captures, &work) }
                        }
                        var result = StreamRule.Detector(pattern: detector.pattern, validate: validate)
                        result.contexts = detector.contexts
                        return result
                    }, maskText: mask)
            streamRule.suppresses = rule.allowance?.suppresses ?? []
            streamRule.whole = rule.composed?.stream
            rules.append(streamRule)
        }
        // As complete answers are judged, so that what a stream finds is what they find.
        self.init(rules: rules, holdBytes: holdBytes, isLight: bundle.isLight) { text, rules, tokens, scratch, classifyNanoseconds in
            var memory = EvaluationScratch(limits: scratch.limits)
            swap(&memory.match, &scratch)
            defer {
                swap(&memory.match, &scratch)
                classifyNanoseconds += memory.classifyNanoseconds
            }
            return bundle.evaluate(text, rules: rules, phase: .output, tokens: tokens, scratch: &memory)
        }
    }
}

/// What judges one answer: a plan, and which of its rules apply to this request by role of the channel.
package struct StreamPolicy: Sendable {
    package private(set) var plan: StreamPlan
    package let bundle: RuleBundle
    /// For `tokens` conditions: the served model's.
    package var tokens: (any TokenCounting)?
    private var byRole: [Role: StreamPlan.Selection]

    /// - Parameters:
    ///   - plan: made from `bundle`.
    ///   - selected: `bundle.select(phase: .output, …)` of the request.
    package init(plan: StreamPlan, bundle: RuleBundle, selected: RuleSelection) {
        self.plan = plan
        self.bundle = bundle
        var byRole: [Role: StreamPlan.Selection] = [:]
        for role in Role.allCases {
            let rules = selected.rules(for: role)
            let selection = plan.selection { rules.contains(plan.rules[$0].rule) }
            if !selection.isEmpty { byRole[role] = selection }
        }
        self.byRole = byRole
    }

    /// This policy, and what puts the texts of a request's placeholders back: masks like any other, so through the same
    /// hold-back. In tool calls, whose text is JSON, what comes back is escaped.
    package func restoring(_ table: PlaceholderTable) -> StreamPolicy {
        if table.isEmpty { return self }
        var further: [StreamRule] = []
        for isEscaped in [false, true] {
            let detectors = table.matchers.map { matcher in
                StreamRule.Detector(pattern: matcher.pattern) { text, captures, _ in
                    matcher.isGiven(text, captures)
                }
            }
            further.append(
                StreamRule(rule: bundle.rules.count, effect: .mask, detectors: detectors) { text, range, _, _, _ in
                    var placeholder: [UInt8] = []
                    for index in range { placeholder.append(text[index]) }
                    let original = table[placeholder[...]] ?? []
                    return isEscaped ? JSONEscape.escaped(original) : original
                })
        }
        var policy = self
        policy.plan = plan.adding(further)
        for role in Role.allCases {
            let added = plan.rules.count + (role == .toolCall ? 1 : 0)
            let extra = policy.plan.selection { $0 == added }
            var selection = byRole[role] ?? StreamPlan.Selection(bits: [], wholes: [])
            // The entries that were there keep their places: what is added comes last.
            selection.bits += [UInt64](repeating: 0, count: extra.bits.count - selection.bits.count)
            for word in extra.bits.indices { selection.bits[word] |= extra.bits[word] }
            policy.byRole[role] = selection
        }
        return policy
    }

    /// No rule judges the answer.
    package var isEmpty: Bool { byRole.isEmpty }

    func selection(_ role: Role) -> StreamPlan.Selection? { byRole[role] }

    static func role(_ kind: ChannelID.Kind) -> Role {
        switch kind {
        case .toolName, .toolArguments, .functionName, .functionArguments: .toolCall
        case .promptEcho: .user
        case .content, .reasoning, .refusal, .special, .generatedText, .transcript: .assistant
        }
    }
}

package struct StreamOptions: Sendable, Hashable {
    /// `policy.onBlock`.
    package enum OnBlock: Sendable, Hashable { case error, contentFilter }
    /// `policy.failure`: what happens where text cannot be judged.
    package enum Failure: Sendable, Hashable { case closed, open }

    package var onBlock = OnBlock.error
    package var failure = Failure.closed
    /// Top-level or policy mode `monitor`: nothing is refused, an answer that cannot be read passes.
    package var isMonitor = false
    /// The client did not ask for usage, we did: events that hold nothing else are not passed on.
    package var dropsUsage = false

    package init() {}
}

/// For `stream{…}` of the record, and for settling.
package struct StreamStatistics: Sendable, Hashable {
    package enum End: String, Sendable, Hashable {
        /// The API's own end.
        case complete
        case blocked
        /// The server sent an error.
        case upstreamError = "upstream_error"
        /// The server went away before the end.
        case truncated
        /// What came could not be read or judged.
        case failed
        /// Not over.
        case open
    }

    package var events = 0
    /// Most bytes of text that were held at one time.
    package var heldBytesMax = 0
    /// Longest time that an event was held.
    package var heldMillisecondsMax = 0
    /// Ended by us before the server's end.
    package var cut = false
    package var leakFree = true
    package var end = End.open
    /// False where text was not judged: see `skipped`.
    package var scanComplete = true
    /// What was not judged and why: labels, bounded.
    package var skipped: Set<String> = []
    /// Side fields that had to go because text was edited.
    package var droppedSides: Set<String> = []
    /// Time that classifiers took.
    package var classifyNanoseconds: UInt64 = 0
    /// Completion tokens that the events prove.
    package var tokensCount = 0
    /// Bytes of channel text that were judged.
    package var textBytes = 0

    package init() {}
}

/// An edit of a channel, for the record.
package struct StreamEditRecord: Sendable, Hashable {
    /// Index of the channel in order of appearance, as in findings.
    package var segment: Int
    package var kind: String
    package var range: ByteRange
    /// Bytes that stand there now.
    package var replacementBytes: Int
    package var rules: [RuleID]
}
