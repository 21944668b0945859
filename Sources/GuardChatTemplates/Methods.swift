/// Methods of `str`, `list`, `tuple` and `dict` that read.
enum Method: String, Sendable {
    // str
    case capitalize, casefold, center, count, encode, endswith, expandtabs, find, format, format_map, index, isalnum
    case isalpha, isascii, isdecimal, isdigit, isidentifier, islower, isnumeric, isprintable, isspace, istitle, isupper
    case join, ljust, lower, lstrip, partition, removeprefix, removesuffix, replace, rfind, rindex, rjust, rpartition
    case rsplit, rstrip, split, splitlines, startswith, strip, swapcase, title, upper, zfill
    // dict and list
    case copy, get, items, keys, values
    // The sandbox hides these; they are here so that it is known that they exist.
    case append, clear, pop, reverse, insert, sort, extend, remove, popitem, setdefault, update
    // int and float
    case bit_length, is_integer, conjugate
}

enum Methods {
    static func has(_ object: Value, _ method: Method) -> Bool {
        switch object {
        case .string:
            switch method {
            case .copy, .get, .items, .keys, .values, .append, .clear, .pop, .reverse, .insert, .sort, .extend, .remove,
                .popitem, .setdefault, .update, .bit_length, .is_integer, .conjugate:
                false
            default: true
            }
        case .dictionary:
            switch method {
            case .copy, .get, .items, .keys, .values, .clear, .pop, .popitem, .setdefault, .update: true
            default: false
            }
        case .list:
            switch method {
            case .copy, .count, .index, .append, .clear, .pop, .reverse, .insert, .sort, .extend, .remove: true
            default: false
            }
        case .tuple: method == .count || method == .index
        case .int, .bool: method == .bit_length || method == .conjugate
        case .double: method == .is_integer || method == .conjugate
        default: false
        }
    }

    static func call(
        _ object: Value, _ method: Method, _ arguments: CallArguments, _ render: Render
    ) throws(TemplateError) -> Value {
        switch object {
        case .string(let text):
            try render.charge(bytes: text.utf8.count)
            return try StringMethods.call(text, method, arguments, render)
        case .dictionary(let dictionary): return try call(dictionary, method, arguments)
        case .list(let list), .tuple(let list):
            switch method {
            case .copy: return .list(list)
            case .count:
                let wanted = try required(arguments, "count")
                return .int(list.items.count { $0.equals(wanted) })
            case .index:
                let wanted = try required(arguments, "index")
                guard let index = list.items.firstIndex(where: { $0.equals(wanted) }) else {
                    throw TemplateError(.value, "\(PythonPrinter.repr(wanted).string) is not in list")
                }
                return .int(index)
            default: break
            }
        case .double(let value):
            if method == .is_integer { return .bool(value.rounded() == value) }
            if method == .conjugate { return object }
        default:
            if let value = object.integer {
                return .int(method == .bit_length ? Int.bitWidth - value.magnitude.leadingZeroBitCount : value)
            }
        }
        throw TemplateError(.attribute, "'\(object.typeName)' object has no attribute '\(method.rawValue)'")
    }

    static func required(_ arguments: CallArguments, _ name: String) throws(TemplateError) -> Value {
        guard let first = arguments.positional.first else {
            throw TemplateError(.type, "\(name)() takes exactly one argument (0 given)")
        }
        return first
    }

    private static func call(
        _ dictionary: Value.Dictionary, _ method: Method, _ arguments: CallArguments
    ) throws(TemplateError) -> Value {
        switch method {
        case .get:
            guard let key = arguments.positional.first else {
                throw TemplateError(.type, "get expected at least 1 argument, got 0")
            }
            guard arguments.named.isEmpty else { throw TemplateError(.type, "dict.get() takes no keyword arguments") }
            guard key.isHashable else { throw TemplateError(.type, "unhashable type: '\(key.typeName)'") }
            return dictionary[key: key] ?? (arguments.positional.count > 1 ? arguments.positional[1] : .none)
        case .items:
            return .object(ViewObject("dict_items", zip(dictionary.keys, dictionary.values).map { .tuple([$0, $1]) }))
        case .keys: return .object(ViewObject("dict_keys", dictionary.keys))
        case .values: return .object(ViewObject("dict_values", dictionary.values))
        case .copy: return .dictionary(dictionary)
        default: throw TemplateError(.attribute, "'dict' object has no attribute '\(method.rawValue)'")
        }
    }

    /// `str.islower` and `str.isupper`.
    static func isCased(_ text: PythonString, upper: Bool) -> Bool {
        var hasCased = false
        for scalar in text.string.unicodeScalars {
            let properties = scalar.properties
            if upper ? properties.isLowercase : properties.isUppercase { return false }
            if properties.generalCategory == .titlecaseLetter { return false }
            if upper ? properties.isUppercase : properties.isLowercase { hasCased = true }
        }
        return hasCased
    }
}
