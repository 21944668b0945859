internal import GuardCore
internal import GuardMatching
internal import GuardRules

/// What a rule costs and what it holds back.
extension Linter {
    /// Growth above this is more than linear in the text.
    private static let linearMax = 1.5
    /// The text for which quadratic growth is worked out.
    private static let longTextBytes = 65_536.0
    private static let costlySteps = 2_000_000

    /// The cost of the rule's worst pattern.
    mutating func checkCost(_ rule: CompiledRule) -> (cost: PatternCost?, notAnalysed: [String]) {
        guard rule.mode != .off else { return (nil, []) }
        let seeds = rule.tests.match.prefix(3).map { test -> [UInt8] in
            let raw = Array(test.text.utf8)
            return rule.view == .raw ? raw : FoldedView(raw: raw).text
        }
        var worst: (cost: PatternCost, detector: Detector)?
        var notAnalysed: [String] = []
        for detector in detectors(rule) {
            var proof = CostProof()
            proof.limit = 2 * options.maxCost
            guard let cost = proof.cost(detector.pattern, seeds: seeds) else { continue }
            if let reason = cost.notAnalysed, !notAnalysed.contains(reason) { notAnalysed.append(reason) }
            if let known = worst, Self.rank(known.cost) >= Self.rank(cost) { continue }
            worst = (cost, detector)
        }
        if let worst { report(worst.cost, worst.detector, rule) }
        return (worst?.cost, notAnalysed)
    }

    private static func rank(_ cost: PatternCost) -> Double {
        cost.growth == .exponential ? .infinity : Double(cost.stepsPerKilobyte)
    }

    private mutating func report(_ cost: PatternCost, _ detector: Detector, _ rule: CompiledRule) {
        let place = source.place(pattern: detector.pattern.source, rule)
        let counts = cost.samples.map { "\($0.pumps) pumps (\($0.bytes) bytes): \(Self.steps($0.steps, cost))" }
            .joined(separator: ", ")
        let proof = "; witness \(cost.witness.description): \(counts)"
        switch cost.growth {
        case .exponential:
            add(.catastrophic, rule, place, "the pattern takes exponential time" + proof)
        case .power(let power):
            // From shorter texts, or where a count was cut off, bounded repeats would look like powers.
            let isSteep =
                power > Self.linearMax && !cost.isCut
                && cost.samples.allSatisfy { $0.steps < 2 * options.maxCost }
                && cost.samples.last?.bytes ?? 0 >= 3000
            let long = Double(cost.samples.last?.steps ?? 0)
            let bytes = Double(cost.samples.last?.bytes ?? 1)
            var factor = 1.0
            // 64 KiB in doublings of the last sample.
            var size = bytes
            while size < Self.longTextBytes {
                factor *= Self.power(2, isSteep ? power : 1)
                size *= 2
            }
            let growth = "steps grow with the text's length to the power of \(Self.rounded(power))"
            if cost.stepsPerKilobyte >= options.maxCost {
                add(
                    .catastrophic, rule, place,
                    "the pattern takes \(cost.stepsPerKilobyte) steps on 1 KiB (limit \(options.maxCost))" + proof)
            } else if isSteep, long * factor >= 100 * Double(options.maxCost) {
                add(
                    .catastrophic, rule, place,
                    "\(growth): about \(Self.rounded(long * factor / 1_000_000)) million on 64 KiB" + proof)
            } else if cost.stepsPerKilobyte >= Self.costlySteps {
                add(.costly, rule, place, "the pattern takes \(cost.stepsPerKilobyte) steps on 1 KiB" + proof)
            } else if isSteep, long * factor >= 10 * Double(options.maxCost) {
                add(.costly, rule, place, growth + proof)
            }
        }
    }

    private static func steps(_ steps: Int, _ cost: PatternCost) -> String {
        "\(steps)\(cost.isCut && steps >= cost.stepsPerKilobyte ? " or more" : "") steps"
    }

    private static func power(_ base: Double, _ exponent: Double) -> Double {
        var result = 1.0
        var left = exponent
        while left >= 1 {
            result *= base
            left -= 1
        }
        return result * (1 + (base - 1) * left)
    }

    static func rounded(_ value: Double) -> String {
        let tenths = Int((min(value, 1e15) * 10).rounded())
        return tenths % 10 == 0 || tenths >= 1000 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }

    // MARK: hold-back

    mutating func checkHold(_ rule: CompiledRule, _ cost: (cost: PatternCost?, notAnalysed: [String])) {
        let hold = self.hold(rule)
        var leak: String?
        switch hold {
        case .windows(let bytes): leak = "stream: cut: text leaves a window of \(bytes) bytes behind"
        case .wholeAnswer, .unbounded:
            if rule.onHoldOverflow == .release { leak = "onHoldOverflow: release: beyond limits.holdBytes the text goes" }
        case .bytes(let bytes):
            // The smallest limit that makes sense; the configured one is not known here.
            if rule.onHoldOverflow == .release, bytes > 65_536 {
                leak = "onHoldOverflow: release: beyond limits.holdBytes the text goes"
            }
        case .none: break
        }
        report.rules.append(
            RuleFacts(
                rule: rule.id, file: rule.place.file, line: rule.place.line, column: rule.place.column,
                cost: cost.cost, hold: hold, leak: leak, notAnalysed: cost.notAnalysed))
        let overflow =
            rule.onHoldOverflow == .block
            ? "then the answer is blocked (onHoldOverflow: block)" : "then it goes (onHoldOverflow: release)"
        if hold == .unbounded {
            let open = detectors(rule).first { bytesHeld($0) == nil }
            add(
                .unboundedHold, rule, open.map { source.place(pattern: $0.pattern.source, rule) },
                "a match has no longest length: a stream is held up to limits.holdBytes, \(overflow); bound the repeats")
        }
        guard let most = options.maxHold else { return }
        switch hold {
        case .bytes(let bytes) where bytes > most:
            add(.longHold, rule, "a match can hold \(bytes) bytes of a stream; at most \(most) are wanted")
        case .unbounded, .wholeAnswer:
            add(.longHold, rule, "holds a stream up to limits.holdBytes; at most \(most) bytes are wanted")
        default: break
        }
    }

    private func hold(_ rule: CompiledRule) -> RuleFacts.Hold {
        let acts = rule.action == .block || rule.action == .mask
        guard rule.phases.contains(.output), acts, rule.mode == .enforce else { return .none }
        if let composed = rule.composed {
            return composed.stream == .cut ? .windows(WholeStream.windowBytes) : .wholeAnswer
        }
        var most = 0
        for detector in rule.detectors {
            guard let bytes = bytesHeld(detector) else { return .unbounded }
            most = max(most, bytes)
        }
        return .bytes(most)
    }

    /// Of a match that is open, and of what must stand near it.
    private func bytesHeld(_ detector: Detector) -> Int? {
        guard let bytes = tree(detector)?.root.bytesMax else { return nil }
        let near = detector.contexts.map { $0.within * 4 }.max() ?? 0
        return bytes + near
    }
}

extension Witness: CustomStringConvertible {
    package var description: String {
        let pump = "(\(Self.shown(self.pump)))×n"
        return [prefix.isEmpty ? nil : Self.shown(prefix), pump, suffix.isEmpty ? nil : Self.shown(suffix)]
            .compactMap { $0 }.joined(separator: " + ")
    }

    /// Quoted, with what cannot be seen as escapes.
    static func shown(_ bytes: [UInt8]) -> String {
        var out = "\""
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            switch scalar {
            case "\"", "\\": out += "\\" + String(scalar)
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case _ where scalar.isASCII && scalar.value >= 0x20 && scalar.value < 0x7F: out.unicodeScalars.append(scalar)
            default: out += "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
        return out + "\""
    }
}
