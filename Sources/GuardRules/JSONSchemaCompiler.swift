internal import GuardCore
internal import GuardJSON
internal import GuardMatching
internal import GuardYAML

extension JSONSchema {
    /// Compiles a schema; `nil` where a problem was reported, each at its place.
    static func compile(_ reader: YAMLReader) -> JSONSchema? {
        let before = reader.problems.list.count
        var compiler = JSONSchemaCompiler()
        _ = compiler.add(reader, "#", depth: 0)
        compiler.resolve(reader)
        guard reader.problems.list.count == before else { return nil }
        return JSONSchema(nodes: compiler.nodes, names: compiler.names)
    }
}

/// Reads a schema into a flat list; `$ref` is resolved when all places are known.
private struct JSONSchemaCompiler {
    var nodes: [JSONSchema.Node] = []
    var names: Set<[UInt8]> = []
    /// Schemas by JSON Pointer fragment.
    private var places: [String: JSONSchema.ID] = [:]
    private var refs: [(from: JSONSchema.ID, target: String, reader: YAMLReader)] = []

    private static let nodesMax = 20_000
    private static let depthMax = 64

    private static let assertions = [
        "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
        "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "contains", "maxContains",
        "minContains", "items", "prefixItems", "maxProperties", "minProperties", "required", "dependentRequired",
        "dependentSchemas", "properties", "patternProperties", "additionalProperties", "propertyNames", "allOf",
        "anyOf", "oneOf", "not", "if", "then", "else", "$ref", "$defs",
    ]
    private static let annotations = [
        "format", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment",
        "$id", "$schema", "contentEncoding", "contentMediaType",
    ]
    private static let draft = "https://json-schema.org/draft/2020-12/schema"

    mutating func add(_ reader: YAMLReader, _ place: String, depth: Int) -> JSONSchema.ID? {
        guard depth < Self.depthMax else {
            reader.report("schemas are nested deeper than \(Self.depthMax)")
            return nil
        }
        guard nodes.count < Self.nodesMax else {
            if nodes.count == Self.nodesMax { reader.report("more than \(Self.nodesMax) schemas") }
            return nil
        }
        let id = nodes.count
        nodes.append(JSONSchema.Node())
        places[place] = id
        if case .bool(let value)? = reader.node.scalar?.value {
            nodes[id].isNever = !value
            return id
        }
        guard let map = reader.anyMapping() else { return nil }
        for entry in map.entries where !(Self.assertions + Self.annotations).contains(entry.key) {
            map.report(
                key: entry.key,
                "the keyword '\(entry.key)' is not understood here, so nothing would be checked by it"
                    + LikelyMeant.suffix(entry.key, among: Self.assertions))
        }
        if let draft = map["$schema"]?.string(), draft.prefix(while: { $0 != "#" }) != Self.draft {
            map.report(key: "$schema", "only draft 2020-12 is understood: \(Self.draft)")
        }
        var node = JSONSchema.Node()
        scalars(map, &node)
        strings(map, &node)
        applicators(map, &node, place, depth)
        objects(map, &node, place, depth)
        nodes[id] = node
        if let ref = map["$ref"], let target = ref.nonEmptyString() { refs.append((id, target, ref)) }
        if let defs = map["$defs"]?.anyMapping() { schemas(defs, place + "/$defs", depth) }
        return id
    }

    // MARK: keywords

    private func scalars(_ map: YAMLMapping, _ node: inout JSONSchema.Node) {
        if let type = map["type"] {
            let kinds = type.oneOrMore { $0.choice(JSONCondition.Kind.allCases.map { ($0.name, $0) }) } ?? []
            if kinds.isEmpty, case .sequence = type.node.kind { type.report("an empty list allows nothing") }
            node.kinds = Set(kinds)
        }
        if let list = map["enum"] {
            if let items = list.items() { node.values = Set(items.map { JSONValue($0.node) }) }
            if node.values?.isEmpty == true { list.report("an empty list allows nothing") }
        }
        if let const = map["const"] {
            let value: Set = [JSONValue(const.node)]
            node.values = node.values.map { $0.intersection(value) } ?? value
        }
        func number(_ key: String) -> Double? { map[key]?.double() }
        node.multipleOf = number("multipleOf")
        if let factor = node.multipleOf, factor <= 0 { map.report(key: "multipleOf", "a number above 0 is wanted") }
        node.maximum = number("maximum")
        node.exclusiveMaximum = number("exclusiveMaximum")
        node.minimum = number("minimum")
        node.exclusiveMinimum = number("exclusiveMinimum")
        func count(_ key: String) -> Int? { map[key]?.int(in: 0...Int.max) }
        node.maxLength = count("maxLength")
        node.minLength = count("minLength")
        node.maxItems = count("maxItems")
        node.minItems = count("minItems")
        node.maxContains = count("maxContains")
        node.minContains = count("minContains")
        node.maxProperties = count("maxProperties")
        node.minProperties = count("minProperties")
        node.uniqueItems = map["uniqueItems"]?.bool() ?? false
    }

    private func pattern(_ source: String, _ report: (Int, String) -> Void) -> Pattern? {
        do {
            var options = PatternOptions()
            options.allowsEmpty = true
            return try Pattern(source, options: options)
        } catch {
            report(error.offset, "broken pattern: \(error.message)")
            return nil
        }
    }

    private mutating func strings(_ map: YAMLMapping, _ node: inout JSONSchema.Node) {
        if let reader = map["pattern"], let source = reader.string() {
            node.pattern = pattern(source) { reader.report(atScalar: $0, $1) }
        }
        node.required = keys(map["required"])
        for (entry, value) in map["dependentRequired"]?.anyMapping()?.values ?? [] {
            names.insert(Array(entry.key.utf8))
            node.dependentRequired.append((Array(entry.key.utf8), keys(value)))
        }
    }

    private mutating func keys(_ reader: YAMLReader?) -> [[UInt8]] {
        let keys = reader?.list { $0.string().map { Array($0.utf8) } } ?? []
        names.formUnion(keys)
        return keys
    }

    private mutating func applicators(
        _ map: YAMLMapping, _ node: inout JSONSchema.Node, _ place: String, _ depth: Int
    ) {
        node.contains = one(map, "contains", place, depth)
        node.items = one(map, "items", place, depth)
        node.prefixItems = many(map, "prefixItems", place, depth)
        node.allOf = many(map, "allOf", place, depth)
        node.anyOf = many(map, "anyOf", place, depth)
        node.oneOf = many(map, "oneOf", place, depth)
        node.not = one(map, "not", place, depth)
        node.condition = one(map, "if", place, depth)
        node.then = one(map, "then", place, depth)
        node.otherwise = one(map, "else", place, depth)
        if map["if"] == nil {
            for key in ["then", "else"] where map[key] != nil { map.report(key: key, "'\(key)' needs an 'if'") }
        }
        if map["contains"] == nil {
            for key in ["minContains", "maxContains"] where map[key] != nil {
                map.report(key: key, "'\(key)' needs 'contains'")
            }
        }
    }

    private mutating func objects(_ map: YAMLMapping, _ node: inout JSONSchema.Node, _ place: String, _ depth: Int) {
        node.additionalProperties = one(map, "additionalProperties", place, depth)
        node.propertyNames = one(map, "propertyNames", place, depth)
        if let properties = map["properties"]?.anyMapping() {
            for (key, schema) in schemas(properties, place + "/properties", depth) {
                names.insert(Array(key.utf8))
                node.properties[Array(key.utf8)] = schema
            }
        }
        if let properties = map["dependentSchemas"]?.anyMapping() {
            for (key, schema) in schemas(properties, place + "/dependentSchemas", depth) {
                names.insert(Array(key.utf8))
                node.dependentSchemas.append((Array(key.utf8), schema))
            }
        }
        if let properties = map["patternProperties"]?.anyMapping() {
            for (key, schema) in schemas(properties, place + "/patternProperties", depth) {
                guard let pattern = pattern(key, { properties.report(key: key, $1) }) else { continue }
                node.patternProperties.append((pattern, schema))
            }
        }
    }

    private mutating func one(_ map: YAMLMapping, _ key: String, _ place: String, _ depth: Int) -> JSONSchema.ID? {
        map[key].flatMap { add($0, place + "/" + key, depth: depth + 1) }
    }

    private mutating func many(_ map: YAMLMapping, _ key: String, _ place: String, _ depth: Int) -> [JSONSchema.ID] {
        guard let reader = map[key], let items = reader.items() else { return [] }
        if items.isEmpty { reader.report("an empty list says nothing") }
        return items.enumerated().compactMap { add($1, "\(place)/\(key)/\($0)", depth: depth + 1) }
    }

    @discardableResult
    private mutating func schemas(
        _ map: YAMLMapping, _ place: String, _ depth: Int
    ) -> [(key: String, schema: JSONSchema.ID)] {
        map.values.compactMap { entry, value in
            add(value, place + "/" + JSONPointer.escape(entry.key), depth: depth + 1).map { (entry.key, $0) }
        }
    }

    // MARK: references

    mutating func resolve(_ root: YAMLReader) {
        for (from, target, reader) in refs {
            guard target.hasPrefix("#") else {
                reader.report("'$ref' names a place in this schema, as in '#/$defs/name'")
                continue
            }
            guard let id = places[target] else {
                reader.report("'$ref' names no schema of this file" + LikelyMeant.suffix(target, among: Array(places.keys)))
                continue
            }
            nodes[from].ref = id
        }
        // A schema that comes to judge the same value again would never end.
        var state = [UInt8](repeating: 0, count: nodes.count)
        for (from, _, reader) in refs where isCyclic(from, &state) {
            reader.report("this '$ref' leads back to itself without going into the value")
            return
        }
    }

    /// Depth first over schemas of the same value; 1: under way, 2: done. Without recursion: `$ref` chains are long.
    private func isCyclic(_ start: JSONSchema.ID, _ state: inout [UInt8]) -> Bool {
        guard state[start] == 0 else { return false }
        var stack: [(id: JSONSchema.ID, left: [JSONSchema.ID])] = [(start, nodes[start].inPlace)]
        state[start] = 1
        while let (id, rest) = stack.popLast() {
            var left = rest
            guard let next = left.popLast() else {
                state[id] = 2
                continue
            }
            stack.append((id, left))
            if state[next] == 1 { return true }
            if state[next] == 0 {
                state[next] = 1
                stack.append((next, nodes[next].inPlace))
            }
        }
        return false
    }
}
