internal import GuardCore
internal import GuardJSON
internal import GuardMatching

/// One check of one value by a schema.
struct JSONSchemaCheck {
    let schema: JSONSchema
    var stepsLeft: Int
    var violations: [JSONSchema.Violation] = []
    var isIncomplete = false
    private var path: [String] = []

    init(schema: JSONSchema, stepsLeft: Int) {
        self.schema = schema
        self.stepsLeft = stepsLeft
    }

    private mutating func take(_ steps: Int) -> Bool {
        stepsLeft -= steps
        if stepsLeft < 0 { isIncomplete = true }
        return !isIncomplete
    }

    /// Notes a violation where it is to be told; always false.
    private mutating func fail(_ keyword: String, _ node: JSONNode, _ tells: Bool) -> Bool {
        if tells, violations.count < JSONSchema.violationsMax {
            violations.append(
                JSONSchema.Violation(
                    range: node.byteRange, keyword: keyword, pointer: path.map { "/" + $0 }.joined()))
        }
        return false
    }

    /// Whether a value satisfies a schema. `tells`: all violations are looked for; otherwise the first decides, and none is
    /// told (inside of `anyOf`, `not` …). Where a bound is reached the answer means nothing (`isIncomplete`).
    mutating func holds(
        _ id: JSONSchema.ID, _ value: JSONNode, depth: Int, tells: Bool, _ scratch: inout MatchScratch
    ) -> Bool {
        guard take(1) else { return false }
        guard depth < JSONSchema.depthMax else {
            isIncomplete = true
            return false
        }
        let node = schema.nodes[id]
        if node.isNever { return fail("false", value, tells) }
        var holds = true
        func goesOn() -> Bool { holds || tells && !isIncomplete }

        if let kinds = node.kinds, !kinds.contains(where: { $0.holds(value) }) { holds = fail("type", value, tells) }
        if goesOn(), let values = node.values {
            if !take(1) { return false }
            if !values.contains(JSONValue(value)) { holds = fail("enum", value, tells) }
        }
        if goesOn() {
            switch value.kind {
            case .number: if let keyword = broken(node, number: value) { holds = fail(keyword, value, tells) }
            case .string:
                if node.maxLength != nil || node.minLength != nil || node.pattern != nil,
                    let keyword = broken(node, string: value, &scratch)
                {
                    holds = fail(keyword, value, tells)
                }
            case .array where node.readsElements:
                holds = elements(node, value, depth, tells, &scratch) && holds
            case .object where node.readsMembers:
                holds = members(node, value, depth, tells, &scratch) && holds
            default: break
            }
        }
        if goesOn() { holds = applicators(node, value, depth, tells, &scratch) && holds }
        return holds
    }

    private func broken(_ node: JSONSchema.Node, number value: JSONNode) -> String? {
        guard let number = value.double else { return "type" }
        if let maximum = node.maximum, number > maximum { return "maximum" }
        if let maximum = node.exclusiveMaximum, number >= maximum { return "exclusiveMaximum" }
        if let minimum = node.minimum, number < minimum { return "minimum" }
        if let minimum = node.exclusiveMinimum, number <= minimum { return "exclusiveMinimum" }
        if let factor = node.multipleOf {
            let quotient = number / factor
            // 0.3 is a multiple of 0.1, whatever binary fractions say.
            if !quotient.isFinite || abs(quotient - quotient.rounded()) > 1e-9 * max(1, abs(quotient)) {
                return "multipleOf"
            }
        }
        return nil
    }

    private mutating func broken(
        _ node: JSONSchema.Node, string value: JSONNode, _ scratch: inout MatchScratch
    ) -> String? {
        let text = value.stringBytes ?? []
        if node.maxLength != nil || node.minLength != nil {
            var length = 0
            for byte in text where byte & 0xC0 != 0x80 { length += 1 }
            if let maximum = node.maxLength, length > maximum { return "maxLength" }
            if let minimum = node.minLength, length < minimum { return "minLength" }
        }
        if let pattern = node.pattern, !matches(pattern, text, &scratch) { return "pattern" }
        return nil
    }

    private mutating func matches(_ pattern: Pattern, _ text: [UInt8], _ scratch: inout MatchScratch) -> Bool {
        guard take(1 + text.count / 16) else { return false }
        switch pattern.firstMatch(in: text.span, scratch: &scratch) {
        case .match: return true
        case .none, .partial: return false
        case .failed:
            isIncomplete = true
            return false
        }
    }

    // MARK: containers

    private mutating func elements(
        _ node: JSONSchema.Node, _ value: JSONNode, _ depth: Int, _ tells: Bool, _ scratch: inout MatchScratch
    ) -> Bool {
        var holds = true
        var count = 0
        var contained = 0
        var seen: Set<JSONValue> = []
        for element in value.elements {
            guard take(1) else { return false }
            let judge = count < node.prefixItems.count ? node.prefixItems[count] : node.items
            if let judge {
                path.append(String(count))
                if !self.holds(judge, element, depth: depth + 1, tells: tells, &scratch) { holds = false }
                path.removeLast()
            }
            if let contains = node.contains,
                self.holds(contains, element, depth: depth + 1, tells: false, &scratch)
            {
                contained += 1
            }
            if node.uniqueItems, holds || tells, !seen.insert(JSONValue(element)).inserted {
                holds = fail("uniqueItems", element, tells)
            }
            count += 1
            guard holds || tells, !isIncomplete else { return false }
        }
        if let maximum = node.maxItems, count > maximum { holds = fail("maxItems", value, tells) }
        if let minimum = node.minItems, count < minimum { holds = fail("minItems", value, tells) }
        if node.contains != nil {
            if contained < node.minContains ?? 1 {
                holds = fail(node.minContains == nil ? "contains" : "minContains", value, tells)
            }
            if let maximum = node.maxContains, contained > maximum { holds = fail("maxContains", value, tells) }
        }
        return holds
    }

    private mutating func members(
        _ node: JSONSchema.Node, _ value: JSONNode, _ depth: Int, _ tells: Bool, _ scratch: inout MatchScratch
    ) -> Bool {
        var holds = true
        var keys: Set<[UInt8]> = []
        var count = 0
        let needsKeys = !node.required.isEmpty || !node.dependentRequired.isEmpty || !node.dependentSchemas.isEmpty
        for (key, member) in value.members {
            guard take(1) else { return false }
            count += 1
            let name = key.stringBytes ?? []
            if needsKeys { keys.insert(name) }
            path.append(
                schema.names.contains(name) ? JSONPointer.escape(String(decoding: name, as: UTF8.self)) : "*")
            defer { path.removeLast() }
            if let names = node.propertyNames, !self.holds(names, key, depth: depth + 1, tells: false, &scratch) {
                holds = fail("propertyNames", member, tells)
            }
            var isKnown = false
            if let judge = node.properties[name] {
                isKnown = true
                if !self.holds(judge, member, depth: depth + 1, tells: tells, &scratch) { holds = false }
            }
            for (pattern, judge) in node.patternProperties where matches(pattern, name, &scratch) {
                isKnown = true
                if !self.holds(judge, member, depth: depth + 1, tells: tells, &scratch) { holds = false }
            }
            if !isKnown, let judge = node.additionalProperties {
                if schema.nodes[judge].isNever {
                    holds = fail("additionalProperties", member, tells)
                } else if !self.holds(judge, member, depth: depth + 1, tells: tells, &scratch) {
                    holds = false
                }
            }
            guard holds || tells, !isIncomplete else { return false }
        }
        if let maximum = node.maxProperties, count > maximum { holds = fail("maxProperties", value, tells) }
        if let minimum = node.minProperties, count < minimum { holds = fail("minProperties", value, tells) }
        for name in node.required where !keys.contains(name) { holds = fail("required", value, tells) }
        for (name, needs) in node.dependentRequired where keys.contains(name) {
            if !needs.allSatisfy({ keys.contains($0) }) { holds = fail("dependentRequired", value, tells) }
        }
        for (name, judge) in node.dependentSchemas where keys.contains(name) {
            if !self.holds(judge, value, depth: depth + 1, tells: tells, &scratch) { holds = false }
        }
        return holds
    }

    // MARK: schemas of the same value

    private mutating func applicators(
        _ node: JSONSchema.Node, _ value: JSONNode, _ depth: Int, _ tells: Bool, _ scratch: inout MatchScratch
    ) -> Bool {
        var holds = true
        for judge in node.allOf + [node.ref].compactMap({ $0 }) {
            if !self.holds(judge, value, depth: depth + 1, tells: tells, &scratch) { holds = false }
            guard holds || tells, !isIncomplete else { return false }
        }
        if !node.anyOf.isEmpty {
            var found = false
            for judge in node.anyOf where !found {
                found = self.holds(judge, value, depth: depth + 1, tells: false, &scratch)
                if isIncomplete { return false }
            }
            if !found { holds = fail("anyOf", value, tells) }
        }
        if !node.oneOf.isEmpty {
            var found = 0
            for judge in node.oneOf where found < 2 {
                if self.holds(judge, value, depth: depth + 1, tells: false, &scratch) { found += 1 }
                if isIncomplete { return false }
            }
            if found != 1 { holds = fail("oneOf", value, tells) }
        }
        if let judge = node.not {
            if self.holds(judge, value, depth: depth + 1, tells: false, &scratch) { holds = fail("not", value, tells) }
            if isIncomplete { return false }
        }
        if let condition = node.condition {
            let isMet = self.holds(condition, value, depth: depth + 1, tells: false, &scratch)
            if isIncomplete { return false }
            if let judge = isMet ? node.then : node.otherwise {
                if !self.holds(judge, value, depth: depth + 1, tells: tells, &scratch) { holds = false }
            }
        }
        return holds
    }
}
