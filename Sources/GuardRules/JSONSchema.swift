package import GuardCore
internal import GuardJSON
internal import GuardMatching

/// A JSON Schema, draft 2020-12 (json-schema.org/draft/2020-12), checked and compiled.
///
/// Asserted: `type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern
/// maxItems minItems uniqueItems contains maxContains minContains items prefixItems maxProperties minProperties required
/// dependentRequired dependentSchemas properties patternProperties additionalProperties propertyNames allOf anyOf oneOf
/// not if then else $ref $defs`, and the schemas `true` and `false`. `$ref` names a place in the same schema (`#`,
/// `#/$defs/x`). Read and not asserted, as the draft has it by default: `format`, and the annotations `title description
/// default examples deprecated readOnly writeOnly $comment $id $schema contentEncoding contentMediaType`. Any other
/// keyword is an error where the schema is loaded: a constraint that is not understood is not checked.
///
/// Patterns are PCRE2's. Lengths count Unicode scalars.
package final class JSONSchema: Sendable {
    /// Place of a schema in `nodes`.
    typealias ID = Int

    struct Node: Sendable {
        /// The schema `false`.
        var isNever = false
        var kinds: Set<JSONCondition.Kind>?
        var values: Set<JSONValue>?
        var multipleOf: Double?
        var maximum: Double?
        var exclusiveMaximum: Double?
        var minimum: Double?
        var exclusiveMinimum: Double?
        var maxLength: Int?
        var minLength: Int?
        var pattern: Pattern?
        var maxItems: Int?
        var minItems: Int?
        var uniqueItems = false
        var contains: ID?
        var maxContains: Int?
        var minContains: Int?
        var items: ID?
        var prefixItems: [ID] = []
        var maxProperties: Int?
        var minProperties: Int?
        var required: [[UInt8]] = []
        var dependentRequired: [(key: [UInt8], needs: [[UInt8]])] = []
        var dependentSchemas: [(key: [UInt8], schema: ID)] = []
        var properties: [[UInt8]: ID] = [:]
        var patternProperties: [(pattern: Pattern, schema: ID)] = []
        var additionalProperties: ID?
        var propertyNames: ID?
        var allOf: [ID] = []
        var anyOf: [ID] = []
        var oneOf: [ID] = []
        var not: ID?
        var condition: ID?
        var then: ID?
        var otherwise: ID?
        var ref: ID?

        /// Schemas that judge the same value.
        var inPlace: [ID] {
            allOf + anyOf + oneOf + dependentSchemas.map(\.schema) + [not, condition, then, otherwise, ref].compactMap { $0 }
        }
        var readsMembers: Bool {
            maxProperties != nil || minProperties != nil || !required.isEmpty || !dependentRequired.isEmpty
                || !dependentSchemas.isEmpty || !properties.isEmpty || !patternProperties.isEmpty
                || additionalProperties != nil || propertyNames != nil
        }
        var readsElements: Bool {
            maxItems != nil || minItems != nil || uniqueItems || contains != nil || items != nil || !prefixItems.isEmpty
        }
    }

    /// The root first.
    let nodes: [Node]
    /// Keys that the schema names: those that an explanation may repeat.
    let names: Set<[UInt8]>
    let usesPatterns: Bool

    init(nodes: [Node], names: Set<[UInt8]>) {
        self.nodes = nodes
        self.names = names
        usesPatterns = nodes.contains { $0.pattern != nil || !$0.patternProperties.isEmpty }
    }

    package struct Violation: Sendable, Hashable {
        /// The value, in the document's bytes.
        package var range: ByteRange
        package var keyword: String
        /// JSON Pointer of the value. Keys that the schema does not name are `*`: they are text of the model or user.
        package var pointer: String
    }

    package struct Result: Sendable, Hashable {
        package var violations: [Violation] = []
        /// A bound of the check was reached: not everything was looked at.
        package var isIncomplete = false
    }

    /// Violations that one text is told of.
    static let violationsMax = 64
    /// Schemas applied to values, and nodes compared, for one text.
    static let stepsMax = 1_000_000
    /// `$ref` in `$ref`, and values in values.
    static let depthMax = 256

    /// What a value violates, in the order in which it was found; at most `violationsMax`.
    func violations(of root: JSONNode, stepsMax: Int = JSONSchema.stepsMax, scratch: inout MatchScratch) -> Result {
        var check = JSONSchemaCheck(schema: self, stepsLeft: stepsMax)
        _ = check.holds(0, root, depth: 0, tells: true, &scratch)
        return Result(violations: check.violations, isIncomplete: check.isIncomplete)
    }
}

extension JSONSchema: Hashable {
    package static func == (left: JSONSchema, right: JSONSchema) -> Bool { left === right }
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
